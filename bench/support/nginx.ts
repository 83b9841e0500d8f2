import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, start, type Started } from './peers.ts'

/**
 * nginx (Debian's `nginx-light`) as the plainest gateway there is: one worker, a static bearer check, connections to
 * the upstream kept open. Its configuration lives in `folder`, apart from the machine's own.
 */
export async function startNginx(
  folder: string,
  upstreamPort: number,
  token: string,
  core: number,
): Promise<Started> {
  const port = await freePort()
  const cwd = join(folder, 'nginx')
  await mkdir(join(cwd, 'logs'), { recursive: true })
  await writeFile(join(cwd, 'nginx.conf'), configuration(cwd, port, upstreamPort, token), { mode: 0o600 })
  try {
    return await start('taskset', ['-c', String(core), 'nginx', '-p', cwd, '-c', 'nginx.conf'], port, { cwd })
  } catch (cause) {
    throw new Error('nginx did not start: install it with "apt-get install nginx-light"', { cause })
  }
}

const configuration = (cwd: string, port: number, upstreamPort: number, token: string): string => `
daemon off;
worker_processes 1;
pid ${join(cwd, 'nginx.pid')};
error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_body_temp_path ${join(cwd, 'body')};
  proxy_temp_path ${join(cwd, 'proxy')};
  fastcgi_temp_path ${join(cwd, 'fastcgi')};
  uwsgi_temp_path ${join(cwd, 'uwsgi')};
  scgi_temp_path ${join(cwd, 'scgi')};
  map_hash_bucket_size 128;
  map $http_authorization $known { default 0; "Bearer ${token}" 1; }
  upstream mcp {
    server 127.0.0.1:${upstreamPort};
    keepalive 64;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      if ($known = 0) { return 401; }
      proxy_pass http://mcp;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "";
    }
  }
}
`
