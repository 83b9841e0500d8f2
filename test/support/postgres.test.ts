import { Client } from 'pg'
import { describe, expect, test } from 'vitest'
import { testPostgres } from './postgres.ts'

describe('the shared test server', () => {
  test('gives each file a database of its own, and readers cannot write to it', async () => {
    const server = await testPostgres()
    const database = await server.createDatabase()
    const owner = new Client({ connectionString: database.url })
    const reader = new Client({ connectionString: database.readerUrl })
    const writer = new Client({ connectionString: database.writerUrl })
    await Promise.all([owner.connect(), reader.connect(), writer.connect()])
    await owner.query('CREATE TABLE notes (id int)')
    await writer.query('INSERT INTO notes VALUES (1)')
    expect((await reader.query('SELECT id FROM notes')).rows).toEqual([{ id: 1 }])
    await expect(reader.query('DELETE FROM notes')).rejects.toThrow('permission denied')
    await expect(writer.query('DROP TABLE notes')).rejects.toThrow('must be owner')
    await Promise.all([owner.end(), reader.end(), writer.end()])
    await database.drop()
    await expect(new Client({ connectionString: database.url }).connect()).rejects.toThrow('does not exist')
  })
})
