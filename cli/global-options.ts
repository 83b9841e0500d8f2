import type { OptionSpec } from './command.ts'

/** What every command takes, before or after its name. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'config',
    value: 'FILE',
    summary: 'the configuration file',
    standard: 'POSTERN_CONFIG, else postern.yaml here',
  },
  {
    name: 'data-dir',
    value: 'DIR',
    summary: 'where Postern keeps its store',
    standard: './.postern',
  },
  { name: 'json', summary: 'one JSON document on standard output and nothing else there' },
  { name: 'help', summary: 'show this help' },
]
