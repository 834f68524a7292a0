import { beforeEach, describe, expect, test } from 'vitest'
import { downloadBlob, hashBlobs, namedBlobs, type Pace, uploadBlob } from '../shell/blob-lane'
import { BLOB_BYTES_MAX } from '../values/encode'
import { BlobServer, sha256 } from './blob-server'

const MIB = 1024 * 1024

/** Bytes that are nowhere the same. */
function content(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, at) => (at * 31) ^ (at >> 8) ^ (at >> 16))
}

const BYTES = content(2.5 * MIB)
const HASH = sha256(BYTES)
const BLOB = new Blob([BYTES])

let server: BlobServer
let pace: Pace

beforeEach(() => {
  server = new BlobServer()
  pace = { chunkBytes: MIB }
})

function upload(hash = HASH, blob = BLOB): Promise<void> {
  return uploadBlob(server.request, { hash, size: blob.size }, blob, pace)
}

async function download(parts: Blob[] = []): Promise<Blob> {
  const blob = await downloadBlob(server.request, { hash: HASH, size: BYTES.length }, parts)
  if (blob === undefined) throw new Error('the server has it not')
  return blob
}

/** The hash says the same as comparing the bytes, which takes the test runner long. */
async function hashOf(blob: Blob): Promise<string> {
  return sha256(new Uint8Array(await blob.arrayBuffer()))
}

describe('hashes', () => {
  test('are those of all Blobs in a value, also where it holds itself', async () => {
    const one = new Blob(['abc'])
    const other = new File(['abc'], 'a')
    const value: Record<string, unknown> = { one, list: [new Map([[other, 1]])] }
    value.self = value
    const hash = sha256(Buffer.from('abc'))
    expect(await hashBlobs([value, 1, null])).toEqual(
      new Map<Blob, string>([
        [one, hash],
        [other, hash],
      ]),
    )
  })

  test('are left out of what cannot be read and of what is too large', async () => {
    const gone = new Blob(['x'])
    gone.arrayBuffer = () => Promise.reject(new DOMException('gone', 'NotReadableError'))
    const large = new Blob([new Uint8Array(BLOB_BYTES_MAX + 1)])
    expect(await hashBlobs([gone, large])).toEqual(new Map())
  })
})

describe('an upload', () => {
  test('goes in chunks of at most 1 MiB', async () => {
    await upload()
    expect(server.log).toEqual(['status', 'POST 0', `POST ${MIB}`, `POST ${2 * MIB}`])
    expect(server.complete(HASH)?.length).toBe(BYTES.length)
  })

  test('of nothing is one request', async () => {
    const hash = sha256(new Uint8Array())
    await upload(hash, new Blob([]))
    expect(server.log).toEqual(['status', 'POST 0'])
    expect(server.complete(hash)).toEqual(Buffer.of())
  })

  test('of what the server has is none', async () => {
    server.store(BYTES)
    await upload()
    expect(server.log).toEqual(['status'])
  })

  test.each([
    ['a request that is lost', 'lost', [`POST ${MIB}`, `POST ${1.5 * MIB}`]],
    ['an answer that is lost', 'answer lost', [`POST ${2 * MIB}`]],
  ] as const)('goes on after %s, from where the server has it', async (_, fault, rest) => {
    server.faults = { 2: fault }
    await expect(upload()).rejects.toThrow('Failed to fetch')
    expect(pace.chunkBytes).toBe(MIB / 2)
    server.log.length = 0
    await upload()
    expect(server.log[0]).toBe('status')
    expect(server.log.slice(1, 1 + rest.length)).toEqual(rest)
    expect(server.complete(HASH)?.length).toBe(BYTES.length)
  })

  test('sends less at a time where requests fail, and soon as much as before', async () => {
    server.faults = { 1: 'lost', 3: 'lost', 5: 'lost', 7: 'lost', 9: 'lost', 11: 'lost' }
    for (let time = 0; time < 6; time++) await expect(upload()).rejects.toThrow()
    expect(pace.chunkBytes).toBe(64 * 1024)
    await upload()
    expect(pace.chunkBytes).toBe(MIB)
    expect(server.complete(HASH)?.length).toBe(BYTES.length)
  })

  test('goes on from where another device has brought it', async () => {
    const both = [
      upload(),
      uploadBlob(server.request, { hash: HASH, size: BLOB.size }, BLOB, { chunkBytes: MIB }),
    ]
    await Promise.all(both)
    expect(server.log.some((line) => line.startsWith('wrong'))).toBe(true)
    expect(server.complete(HASH)?.length).toBe(BYTES.length)
  })

  test('begins again when it was damaged on its way', async () => {
    server.faults = { 2: 'damaged' }
    await upload()
    expect(server.log.filter((line) => line === 'mismatch')).toHaveLength(1)
    expect(server.complete(HASH)?.length).toBe(BYTES.length)
  })

  test('ends when it is damaged every time', async () => {
    const other = sha256(content(5))
    await expect(upload(other)).rejects.toMatchObject({ outcome: { status: 422 } })
    expect(server.log.filter((line) => line === 'mismatch')).toHaveLength(3)
  })

  test.each([401, 403, 413, 429, 500, 503])('tells that the server says %d', async (status) => {
    const headers = { 'retry-after': '7' }
    server.faults = { 1: Response.json({ code: 'x' }, { status, headers }) }
    await expect(upload()).rejects.toMatchObject({
      outcome: { is: 'answer', status, retryAfter: '7', body: '{"code":"x"}' },
    })
  })

  test.each([404, 405, 501])(
    'has its operation refused where there is no lane: %d',
    async (status) => {
      server.faults = { 0: new Response('', { status }) }
      await expect(upload()).rejects.toMatchObject({
        outcome: { status: 422, body: expect.stringContaining('blobs-not-taken') },
      })
    },
  )

  test.each([
    ['no JSON', () => new Response('<html>')],
    ['another answer', () => Response.json({ ok: true })],
    ['more than there is', () => Response.json({ received: BYTES.length + 1, complete: false })],
    ['always the same', () => Response.json({ received: 0, complete: false })],
  ])('ends when what answers says %s', async (_, answer) => {
    for (let at = 0; at < 10; at++) server.faults[at] = answer()
    await expect(upload()).rejects.toThrow()
  })

  test('of what cannot be read any more has its operation refused', async () => {
    const gone = new Blob(['x'])
    gone.slice = () => gone
    gone.arrayBuffer = () => Promise.reject(new DOMException('gone', 'NotReadableError'))
    await expect(upload(HASH, gone)).rejects.toMatchObject({
      outcome: { status: 422, body: expect.stringContaining('blob-unreadable') },
    })
  })
})

describe('a download', () => {
  beforeEach(() => {
    server.store(BYTES)
  })

  test('comes in chunks and is whole', async () => {
    expect(await hashOf(await download())).toBe(HASH)
    expect(server.log).toEqual(['GET 0', `GET ${MIB}`, `GET ${2 * MIB}`])
  })

  test('of nothing asks for nothing', async () => {
    const hash = sha256(new Uint8Array())
    const blob = await downloadBlob(server.request, { hash, size: 0 }, [])
    expect(blob?.size).toBe(0)
    expect(server.log).toEqual([])
  })

  test.each(['lost', 'answer lost'] as const)('goes on where it broke off: %s', async (fault) => {
    server.faults = { 1: fault }
    const parts: Blob[] = []
    await expect(download(parts)).rejects.toThrow('Failed to fetch')
    server.log.length = 0
    expect(await hashOf(await download(parts))).toBe(HASH)
    expect(server.log[0]).toBe(`GET ${MIB}`)
  })

  test('keeps what came of a chunk that broke off, and says of each piece that it came', async () => {
    let pulls = 0
    const body = new ReadableStream<Uint8Array>({
      pull(to) {
        pulls += 1
        if (pulls > 3) to.error(new TypeError('broken'))
        else to.enqueue(BYTES.slice((pulls - 1) * 1000, pulls * 1000))
      },
    })
    server.faults = { 0: new Response(body) }
    const parts: Blob[] = []
    let heard = 0
    const request = Object.assign(
      (...its: Parameters<typeof server.request>) => server.request(...its),
      {
        heard: () => {
          heard += 1
        },
      },
    )
    const name = { hash: HASH, size: BYTES.length }
    await expect(downloadBlob(request, name, parts)).rejects.toThrow('broken')
    expect([heard, parts.reduce((sum, { size }) => sum + size, 0)]).toEqual([3, 3000])
    expect(await hashOf(await download(parts))).toBe(HASH)
    expect(server.log[0]).toBe('GET 3000')
  })

  test('takes less than it asked for', async () => {
    server.faults = { 0: 'cut', 2: 'cut' }
    expect(await hashOf(await download())).toBe(HASH)
    expect(server.log.slice(0, 2)).toEqual(['GET 0', 'GET 1000'])
  })

  test('takes nothing else for it, and begins again', async () => {
    server.faults = { 1: 'damaged' }
    const parts: Blob[] = []
    await expect(download(parts)).rejects.toMatchObject({ failure: 'network' })
    expect(parts).toEqual([])
    expect(await hashOf(await download(parts))).toBe(HASH)
  })

  test.each([
    ['nothing comes', 'empty' as const],
    ['too much comes', new Response(new Uint8Array(3 * MIB))],
  ])('ends when %s', async (_, fault) => {
    server.faults = { 0: fault }
    await expect(download()).rejects.toMatchObject({ failure: 'network' })
  })

  test('is none of what the server has not', async () => {
    const hash = sha256(content(5))
    expect(await downloadBlob(server.request, { hash, size: 5 }, [])).toBeUndefined()
    expect(server.log).toEqual(['missing'])
  })

  test.each([
    [401, { is: 'answer', status: 401 }],
    [429, { is: 'answer', status: 429 }],
    [503, { is: 'answer', status: 503 }],
    // As the answer to a pull these would say something else.
    [404, { is: 'failed', failure: 'network' }],
    [400, { is: 'failed', failure: 'network' }],
  ])('tells that the server says %d', async (status, outcome) => {
    server.faults = { 0: new Response('', { status }) }
    await expect(download()).rejects.toMatchObject({ outcome })
  })
})

test('the names of Blobs are found wherever they stand, and no others', () => {
  const blob = ['~blob', '', 3, HASH]
  const file = ['~file', 'a', 1, '', 0, HASH]
  const deep = JSON.parse(`${'['.repeat(50_000)}${JSON.stringify(blob)}${']'.repeat(50_000)}`)
  const named = { hash: HASH, size: 3 }
  expect(namedBlobs([{ a: [blob] }, ['~map', [file, blob]]])).toEqual(
    expect.arrayContaining([named, named, { hash: HASH, size: 0 }]),
  )
  expect(namedBlobs(deep)).toEqual([named])
  for (const other of [
    ['~array', '~blob', '', 3, HASH],
    ['~blob', '', 3, '../../push?x'],
    ['~blob', '', 3, 5],
    ['~blob', '', 2 * BLOB_BYTES_MAX, HASH],
    ['~blob'],
    { '~blob': HASH },
  ]) {
    expect(namedBlobs(other)).toEqual([])
  }
})
