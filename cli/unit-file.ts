/** Where an installed Postern has what is its own, as systemd lays it out for a unit of that name. */
export const INSTALLED = {
  unit: '/etc/systemd/system/postern.service',
  directory: '/etc/postern',
  config: '/etc/postern/postern.yaml',
  secret: '/etc/postern/jwt.secret',
  environment: '/etc/postern/postern.env',
  dataDir: '/var/lib/postern',
} as const

export interface UnitOptions {
  /** Absolute paths of the Node.js and the `bin/postern` that it starts. */
  readonly node: string
  readonly postern: string
  /** `limits.drain`: how long open requests have when it stops. Milliseconds. */
  readonly drainMs: number
}

/** After the open requests, streams end and the record is written. Seconds. */
const BEYOND_DRAIN_S = 20

/** A path as a unit file takes it: whole, whatever is in it, and without specifiers (systemd.syntax(7)). */
function quoted(path: string): string {
  const plain = path.replaceAll('%', '%%').replaceAll('$', '$$$$')
  if (/^[\w@%+=:,./$-]+$/.test(plain)) return plain
  return `"${plain.replaceAll('\\', String.raw`\\`).replaceAll('"', String.raw`\"`)}"`
}

/** The systemd unit. The reasons for its less usual lines are in docs/decisions/0009-secrets-of-a-service.md. */
export const unitFile = ({ node, postern, drainMs }: UnitOptions): string =>
  `# Written by "postern install", which writes it anew. Changes of your own: systemctl edit postern

[Unit]
Description=Postern, a guarded door in front of MCP servers and PostgreSQL databases
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=exec
# The user exists only while this runs, so its files cannot be given to it beforehand: each start sets their group.
ExecStartPre=+chgrp -R --reference=%S/postern %E/postern
ExecStart=${quoted(node)} ${quoted(postern)} serve --config ${INSTALLED.config}
ExecReload=+chgrp -R --reference=%S/postern %E/postern
ExecReload=kill -HUP $MAINPID
ExecStopPost=+chgrp -R root %E/postern
# Values for $env:NAME in the configuration, one NAME=value a line; only root reads it.
EnvironmentFile=-${INSTALLED.environment}
WorkingDirectory=%S/postern
# The log is on standard error. Standard output shows the first token, which must not stay in the journal.
StandardOutput=null
StandardError=journal
Restart=on-failure
RestartSec=1
RestartPreventExitStatus=2
KillMode=mixed
TimeoutStopSec=${Math.ceil(drainMs / 1_000) + BEYOND_DRAIN_S}

DynamicUser=yes
StateDirectory=postern
StateDirectoryMode=0750
ConfigurationDirectory=postern
ConfigurationDirectoryMode=2750
UMask=0077
LimitNOFILE=65536

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
PrivateDevices=yes
PrivateMounts=yes
PrivateTmp=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service @pkey
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
# V8 compiles while it runs: it writes memory that it then executes.
MemoryDenyWriteExecute=no

[Install]
WantedBy=multi-user.target
`
