import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { published } from './published.ts'

// Run with `node src/config/write-published.ts` after the table of keys changed; a test compares the result.
for (const { file, text } of published()) writeFileSync(fileURLToPath(file), text)
