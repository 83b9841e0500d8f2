import { describe, expect, it } from 'vitest'
import { SESSION_REVISIONS, SUPPORTED_REVISIONS } from '../../lib/revisions.ts'
import { contentFor, contentsFor } from './content.ts'

const AUDIO = { type: 'audio', data: 'UklGRg==', mimeType: 'audio/wav', annotations: { audience: ['user'] } }
const LINK = {
  type: 'resource_link',
  uri: 'file:///a.txt',
  name: 'a.txt',
  title: 'A file',
  description: 'What it says',
  mimeType: 'text/plain',
  icons: [{ src: 'https://example.org/i.png' }],
}

describe('content', () => {
  it('passes untouched to the revisions that know everything', () => {
    const blocks = [AUDIO, LINK]
    expect(contentsFor(blocks, '2026-07-28')).toBe(blocks)
    expect(contentsFor(blocks, '2025-11-25')).toBe(blocks)
  })

  it('of audio becomes a resource with the same bytes where there is no audio', () => {
    expect(contentFor(AUDIO, '2025-03-26')).toEqual(AUDIO)
    expect(contentsFor([AUDIO, AUDIO], '2024-11-05')).toEqual([
      {
        type: 'resource',
        resource: { uri: 'postern:/content/0', mimeType: 'audio/wav', blob: 'UklGRg==' },
        annotations: { audience: ['user'] },
      },
      expect.objectContaining({
        resource: expect.objectContaining({ uri: 'postern:/content/1' }) as unknown,
      }),
    ])
  })

  it('of a link loses its icons, then becomes a text that names it', () => {
    expect(contentFor(LINK, '2025-06-18')).toEqual({ ...LINK, icons: undefined })
    expect(contentFor(LINK, '2025-06-18')).not.toHaveProperty('icons')
    for (const revision of ['2025-03-26', '2024-11-05'] as const) {
      expect(contentFor(LINK, revision)).toEqual({
        type: 'text',
        text: 'Resource A file (text/plain): file:///a.txt\nWhat it says',
      })
    }
    expect(contentFor({ type: 'resource_link', uri: 'x:y' }, '2024-11-05')).toEqual({
      type: 'text',
      text: 'Resource: x:y',
    })
  })

  it('loses the date of a resource before 2025-06-18', () => {
    const dated = { type: 'text', text: 't', annotations: { priority: 1, lastModified: '2026-01-01' } }
    expect(contentFor(dated, '2025-06-18')).toEqual(dated)
    expect(contentFor(dated, '2025-03-26')).toEqual({ type: 'text', text: 't', annotations: { priority: 1 } })
  })

  it.each(SUPPORTED_REVISIONS)('that is none is left alone in %s', (revision) => {
    for (const odd of [null, 'text', 7, [], {}, { type: 'unheard-of', x: 1 }]) {
      expect(contentFor(odd, revision)).toEqual(odd)
    }
  })

  it.each(SESSION_REVISIONS)('of images and texts is the same in %s', (revision) => {
    const text = { type: 'text', text: 't' }
    const image = { type: 'image', data: 'AA==', mimeType: 'image/png' }
    expect(contentsFor([text, image], revision)).toEqual([text, image])
  })
})
