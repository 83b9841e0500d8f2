import { duration, text } from '../leaves.ts'
import type { AggregateSettings } from '../settings.ts'
import { mapped, section } from '../spec.ts'

const MINUTE = 60_000

/** What the name of a tool may hold beside letters and digits: a letter here would be found inside names. */
const DELIMITER = /^[_./-]{1,8}$/

const fields = section(
  'The endpoints `/mcp` and `/sse`, which show every server that a caller may use as one.',
  {
    delimiter: text(
      'Stands between the name of a server and that of its tool or prompt: `files__read_file`. 1 to 8 of `_ - . /`; some clients take names with `_` and `-` only.',
      { standard: '__' },
    ),
    listTimeout: duration(
      'How long a list waits for a server before it is sent without that server’s part.',
      { min: 100, max: 10 * MINUTE },
      { standard: '5s' },
    ),
  },
)

export const aggregate = mapped(
  fields,
  ({ delimiter, listTimeout }, place, context): AggregateSettings | undefined => {
    const at = context.places.get('aggregate.delimiter') ?? place
    if (DELIMITER.test(delimiter)) return { delimiter, listTimeoutMs: listTimeout }
    context.report.problem('config_bad_value', at, 'must be 1 to 8 of the characters _ - . /')
    return undefined
  },
)
