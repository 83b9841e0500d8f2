import { describe, expect, it } from 'vitest'
import { chooseFormat, exposition, type Reading } from './exposition.ts'
import { Histogram } from './histogram.ts'

const READINGS: readonly Reading[] = [
  {
    definition: { name: 'a_total', kind: 'counter', labels: ['one', 'two'], help: 'Back\\slash.\nLine.' },
    values: [
      { labels: ['x', ''], value: 3 },
      { labels: ['quo"te\n\\', 'y'], value: 0.5 },
    ],
  },
  { definition: { name: 'empty', kind: 'gauge', labels: ['one'], help: 'None.' }, values: [] },
  { definition: { name: 'c', kind: 'gauge', labels: [], help: 'C.' }, values: [{ labels: [], value: 1e-7 }] },
]

describe('exposition', () => {
  it('writes the text format 0.0.4', () => {
    expect(exposition(READINGS, 'text')).toBe(
      [
        '# HELP a_total Back\\\\slash.\\nLine.',
        '# TYPE a_total counter',
        'a_total{one="x"} 3',
        'a_total{one="quo\\"te\\n\\\\",two="y"} 0.5',
        '# HELP c C.',
        '# TYPE c gauge',
        'c 1e-7',
        '',
      ].join('\n'),
    )
  })

  it('writes OpenMetrics, where the family of a counter has no suffix and the text has an end', () => {
    const text = exposition(READINGS, 'openmetrics')
    expect(text).toContain('# TYPE a counter\na_total{one="x"} 3\n')
    expect(text.endsWith('\n# EOF\n')).toBe(true)
    expect(exposition(READINGS, 'text')).not.toContain('EOF')
  })

  it('adds buckets up', () => {
    const histogram = new Histogram()
    for (const ms of [0.5, 0.6, 1, 1_000, 60_000, 60_001]) histogram.observeMs(ms)
    const definition = { name: 'd', kind: 'histogram', labels: ['route'], help: 'D.' } as const
    const readings = [{ definition, values: [{ labels: ['/mcp'], value: histogram }] }]
    const lines = exposition(readings, 'text').split('\n')
    expect(lines).toContain('d_bucket{route="/mcp",le="0.0005"} 1')
    expect(lines).toContain('d_bucket{route="/mcp",le="0.001"} 3')
    expect(lines).toContain('d_bucket{route="/mcp",le="0.5"} 3')
    expect(lines).toContain('d_bucket{route="/mcp",le="1"} 4')
    expect(lines).toContain('d_bucket{route="/mcp",le="60"} 5')
    expect(lines).toContain('d_bucket{route="/mcp",le="+Inf"} 6')
    expect(lines).toContain('d_count{route="/mcp"} 6')
    expect(Number(lines.find((line) => line.startsWith('d_sum'))?.split(' ')[1])).toBeCloseTo(121.0031, 6)
    expect(exposition(readings, 'openmetrics')).toContain('le="60.0"} 5')
  })
})

describe('chooseFormat', () => {
  it.each([
    [undefined, 'text'],
    ['*/*', 'text'],
    ['text/plain', 'text'],
    ['application/openmetrics-text', 'openmetrics'],
    [
      'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1',
      'openmetrics',
    ],
    ['application/openmetrics-text;q=0.2, text/plain', 'text'],
    ['application/openmetrics-text;q=0', 'text'],
    ['application/openmetrics-text;q=many', 'text'],
  ])('%s: %s', (accept, format) => {
    expect(chooseFormat(accept)).toBe(format)
  })
})
