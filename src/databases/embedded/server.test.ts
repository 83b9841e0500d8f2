import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type EmbeddedServer, startEmbeddedServer } from './server.ts'

let home: string
const servers: EmbeddedServer[] = []

beforeEach(async () => {
  // Mode 0700, as a directory below /root: the server's user cannot reach it by its path.
  home = await mkdtemp(join(tmpdir(), 'postern-embedded-'))
})

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
  await rm(home, { recursive: true, force: true })
})

async function start(dir = join(home, 'pg'), port?: number): Promise<EmbeddedServer> {
  const server = await startEmbeddedServer({ dir, durable: false, ...(port === undefined ? {} : { port }) })
  servers.push(server)
  return server
}

async function ask(server: EmbeddedServer, sql: string): Promise<unknown[]> {
  const client = new Client({
    host: server.host,
    port: server.port,
    database: 'postgres',
    user: server.superuser.user,
    password: server.superuser.password.reveal(),
  })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

describe('the embedded PostgreSQL', () => {
  test('starts, keeps its data over a restart, and leaves nothing running', async () => {
    const first = await start()
    await ask(first, 'CREATE TABLE kept AS SELECT 42 AS answer')
    await first.close()
    await first.exited
    expect(isAlive(first.pid)).toBe(false)
    const second = await start()
    expect(await ask(second, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }])
  })

  test('starts in a directory that everybody may enter, too', async () => {
    await chmod(home, 0o755)
    expect(await ask(await start(), 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  test('listens on the loopback address only, has no socket file, and wants a password', async () => {
    const server = await start()
    expect(
      await ask(
        server,
        `SELECT current_setting('listen_addresses') AS listen, current_setting('unix_socket_directories') AS sockets,
           (SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules) AS method,
           (SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'postgres') AS hashed`,
      ),
    ).toEqual([{ listen: '127.0.0.1', sockets: '', method: 'scram-sha-256', hashed: true }])
    const stranger = new Client({
      host: server.host,
      port: server.port,
      user: 'postgres',
      password: 'postgres',
    })
    await expect(stranger.connect()).rejects.toThrow('password authentication failed')
    expect((await stat(join(home, 'pg', 'superuser'))).mode & 0o777).toBe(0o600)
    expect((await readdir(join(home, 'pg'))).sort()).toEqual(['data', 'server.log', 'superuser'])
  })

  test('ends when its parent is killed without a word, and starts again from what is left', async () => {
    const dir = join(home, 'pg')
    const parent = spawn(
      process.execPath,
      [
        '--input-type=module-typescript',
        '-e',
        `import { startEmbeddedServer } from ${JSON.stringify(new URL('./server.ts', import.meta.url).href)}
         const server = await startEmbeddedServer({ dir: ${JSON.stringify(dir)}, durable: false })
         console.log(JSON.stringify({ pid: server.pid, port: server.port }))
         setInterval(() => {}, 1000)`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const { port } = JSON.parse(line.toString()) as { pid: number; port: number }
    parent.kill('SIGKILL')
    await once(parent, 'exit')
    // At once, while the old server may still be shutting down.
    const second = await start()
    expect(await ask(second, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
    await expect(reach(port)).resolves.toBe(second.port === port)
  })

  test('recovers from a crash of the server itself, with the pid file of a dead process left behind', async () => {
    const first = await startEmbeddedServer({ dir: join(home, 'pg') })
    await ask(first, 'CREATE TABLE kept AS SELECT 42 AS answer')
    process.kill(first.pid, 'SIGKILL')
    await first.exited
    // In a container the number soon belongs to another process: ours stands for it.
    const pidFile = join(home, 'pg', 'data', 'postmaster.pid')
    const lines = (await readFile(pidFile, 'utf8')).split('\n')
    await writeFile(pidFile, [String(process.pid), ...lines.slice(1)].join('\n'))
    const second = await start()
    expect(await ask(second, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }])
  })

  test('refuses a directory whose server still runs', async () => {
    const first = await start()
    await expect(start()).rejects.toMatchObject({
      code: 'data_dir_unusable',
      message: expect.stringContaining(`process ${first.pid}`) as string,
    })
  }, 30_000)

  test('refuses the data of another version and a port in use, saying so', async () => {
    const first = await start()
    await expect(start(join(home, 'other'), first.port)).rejects.toMatchObject({ code: 'address_in_use' })
    await first.close()
    await writeFile(join(home, 'pg', 'data', 'PG_VERSION'), '12\n')
    await expect(start()).rejects.toMatchObject({ code: 'data_dir_unusable' })
  })

  test('says what to do when the optional package is not installed', async () => {
    // A copy of the sources where no node_modules can be found.
    for (const room of ['databases/embedded', 'lib']) {
      await cp(new URL(`../../${room}`, import.meta.url), join(home, 'src', room), { recursive: true })
    }
    const child = spawn(
      process.execPath,
      [
        '--input-type=module-typescript',
        '-e',
        `import { startEmbeddedServer } from ${JSON.stringify(join(home, 'src/databases/embedded/server.ts'))}
         await startEmbeddedServer({ dir: ${JSON.stringify(join(home, 'pg'))} }).catch((fault) =>
           console.log(JSON.stringify({ code: fault.code, message: fault.message })))`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    expect(JSON.parse(line.toString())).toEqual({
      code: 'database_unavailable',
      message: expect.stringMatching(
        /not installed for .*: run "npm install".*or configure a database/,
      ) as string,
    })
  })

  test('begins anew after a first start that was interrupted', async () => {
    const first = await start()
    await first.close()
    await rename(join(home, 'pg', 'data'), join(home, 'pg', 'data.new'))
    expect(await ask(await start(), 'SELECT 1 AS one')).toEqual([{ one: 1 }])
    expect(await readdir(join(home, 'pg'))).not.toContain('data.new')
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function reach(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port })
  try {
    return await Promise.race([
      once(socket, 'connect').then(() => true),
      pause(2_000).then(() => false),
    ]).catch(() => false)
  } finally {
    socket.destroy()
  }
}
