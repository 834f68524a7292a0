import { beforeEach, describe, expect, test } from 'vitest'
import type { BlobMap } from '../shell/blob-lane'
import { Blobs } from '../shell/blobs'
import { PulledChanges } from '../shell/records'
import { BlobServer, sha256 } from './blob-server'

function blob(text: string): { blob: Blob; hash: string; name: unknown[] } {
  const bytes = Buffer.from(text)
  const hash = sha256(bytes)
  return { blob: new Blob([bytes]), hash, name: ['~blob', '', bytes.length, hash] }
}

function mapOf(...all: { blob: Blob; hash: string }[]): BlobMap {
  return new Map(all.map(({ blob, hash }) => [hash, blob]))
}

const ONE = blob('one')
const OTHER = blob('other')

let server: BlobServer
let blobs: Blobs

beforeEach(() => {
  server = new BlobServer()
  blobs = new Blobs()
})

describe('what is at hand', () => {
  test('is what is there for something, and then the latest of what was', () => {
    blobs.keep('staged 1', mapOf(ONE))
    blobs.keep('held a', mapOf(OTHER))
    blobs.keep('staged 1')
    for (let number = 0; number < 256; number++) {
      blobs.keep('pulled', mapOf(blob(String(number))))
    }
    blobs.keep('pulled')
    expect(blobs.get(OTHER.hash)).toBe(OTHER.blob)
    expect(blobs.get(ONE.hash)).toBeUndefined()
    expect(blobs.get(blob('0').hash)).toBeDefined()
  })

  test('is no more than 64 MiB of what was', () => {
    const large = (hash: string, mib: number) =>
      new Map([[hash, new Blob([new Uint8Array(mib * 1024 * 1024)])]])
    blobs.keep('pulled', large('one', 30))
    blobs.keep('pulled', large('two', 30))
    blobs.keep('pulled', large('three', 30))
    blobs.keep('pulled')
    expect(['one', 'two', 'three'].map((hash) => blobs.get(hash) !== undefined)).toEqual([
      false,
      true,
      true,
    ])
  })

  test('goes into rows as far as their texts name it', async () => {
    await blobs.hash('prepared', [{ a: ONE.blob, b: OTHER.blob }])
    const texts = ['{"value":1}', JSON.stringify({ set: { a: ONE.name } }), '"~blob"', '~ no JSON']
    expect([...blobs.namedIn(texts).keys()]).toEqual([ONE.hash])
    const escaped = JSON.stringify(OTHER.name).replace('~blob', '\\u007eblob')
    expect([...blobs.namedIn([escaped]).keys()]).toEqual([OTHER.hash])
  })
})

describe('what operations name', () => {
  const texts = [JSON.stringify({ value: [ONE.name, OTHER.name] }), '{"value":1}']

  test('goes to the server once, before them', async () => {
    blobs.keep('staged 1', mapOf(ONE, OTHER))
    await blobs.send(texts, server.request)
    await blobs.send(texts, server.request)
    expect(server.log).toEqual(['status', 'POST 0', 'status', 'POST 0'])
    expect(server.complete(OTHER.hash)?.toString()).toBe('other')
  })

  test('goes once more when the server has lost it, or another user sends it', async () => {
    blobs.keep('staged 1', mapOf(ONE, OTHER))
    await blobs.send(texts, server.request)
    await blobs.fetchFor('{"verdicts":[{"verdict":"retry","code":"blob-missing"}]}', server.request)
    await blobs.send(texts, server.request)
    blobs.forgetUploads()
    await blobs.send(texts, server.request)
    expect(server.log.filter((line) => line === 'status')).toHaveLength(6)
  })

  test('goes to the space of each operation', async () => {
    const of = (space: string) => JSON.stringify({ space, value: { space: 'x', at: ONE.name } })
    blobs.keep('staged 1', mapOf(ONE))
    await blobs.send([of('a & b'), of('~'), of('a & b')], server.request)
    expect(server.log).toEqual(['status', 'POST 0', 'status', 'POST 0'])
    expect(server.complete(ONE.hash, 'a & b')?.toString()).toBe('one')
    expect(server.complete(ONE.hash)?.toString()).toBe('one')
    expect(server.complete(ONE.hash, 'x')).toBeUndefined()
  })

  test('is refused where it is gone', async () => {
    await expect(blobs.send(texts, server.request)).rejects.toMatchObject({
      outcome: { status: 422, body: expect.stringContaining('blob-unreadable') },
    })
    expect(server.log).toEqual([])
  })
})

describe('what an answer names', () => {
  const named = [ONE, OTHER].map(({ hash, blob }) => ({ hash, size: blob.size }))

  test('comes before the answer is told, but for what is at hand', async () => {
    server.store(Buffer.from('other'))
    blobs.keep('staged 1', mapOf(ONE))
    blobs.keep('staged 1')
    await blobs.fetch('pulled', named, server.request)
    expect(server.log).toEqual(['GET 0'])
    expect(await blobs.get(OTHER.hash)?.text()).toBe('other')
    expect(await blobs.get(ONE.hash)?.text()).toBe('one')
  })

  test('is not fetched twice when the rest breaks off', async () => {
    server.store(Buffer.from('one'))
    server.faults = { 1: 'lost' }
    await expect(blobs.fetch('pulled', named, server.request)).rejects.toThrow('Failed to fetch')
    server.store(Buffer.from('other'))
    server.log.length = 0
    await blobs.fetch('pulled', named, server.request)
    expect(server.log).toEqual(['GET 0'])
  })

  test('is left out where the server has it not, and the rest comes', async () => {
    server.store(Buffer.from('other'))
    await blobs.fetch('pulled', named, server.request)
    expect(server.log).toEqual(['missing', 'GET 0'])
    expect(blobs.get(ONE.hash)).toBeUndefined()
    expect(await blobs.get(OTHER.hash)?.text()).toBe('other')
  })

  test('comes for verdicts too, and an answer that is no JSON names nothing', async () => {
    server.store(Buffer.from('one'))
    const record = { value: { photo: ONE.name } }
    await blobs.fetchFor(JSON.stringify({ verdicts: [{ record }] }), server.request)
    expect(await blobs.get(ONE.hash)?.text()).toBe('one')
    await blobs.fetchFor('<html>"~blob"', server.request)
    expect(server.log).toEqual(['GET 0'])
  })

  test('comes from the space of its record, and not where no table has that space', async () => {
    server.store(Buffer.from('one'), 'team')
    server.store(Buffer.from('other'), 'team')
    const body = (record: object) => JSON.stringify({ verdicts: [{ record }] })
    await blobs.fetchFor(body({ space: 'team', value: ONE.name }), server.request)
    expect(await blobs.get(ONE.hash)?.text()).toBe('one')
    const pulled = new PulledChanges(blobs, { files: { space: 'team' } })
    const change = (space: string, table: string) => ({ space, table, value: OTHER.name })
    const changes = [
      change('team', 'files'),
      change('~', 'files'),
      change('team', 'notes'),
      change('~', 'notes'),
    ]
    const size = OTHER.blob.size
    expect(pulled.keep(JSON.stringify({ changes }))).toEqual([
      { hash: OTHER.hash, size, space: 'team' },
      { hash: OTHER.hash, size },
    ])
  })
})
