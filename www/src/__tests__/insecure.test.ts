import { beforeEach, expect, it, vi } from 'vitest'
import { hashBlobs } from '../shell/blob-lane'
import { Blobs } from '../shell/blobs'
import { PulledChanges } from '../shell/records'
import { Slots } from '../shell/slots'
import { BlobServer } from './blob-server'

beforeEach(() => {
  vi.stubGlobal('crypto', {})
  return () => vi.unstubAllGlobals()
})

it('in an insecure context a file is held for that, and the rest is sent', async () => {
  const slots = new Slots(() => ({ keyPath: null, autoIncrement: false }))
  const found = slots.scan('notes', ['a', 'b'], [{ photo: new Blob(['x']) }, { at: new Date(5) }])
  const { values } = await slots.prepare(
    found.map(({ slot }) => slot),
    [],
    hashBlobs,
  )
  expect(values).toMatchObject([{ is: 'unsendable', code: 'insecure-context' }, { is: 'wire' }])
})

it('in an insecure context no file is fetched, and its record cannot be made for that', async () => {
  const server = new BlobServer()
  const hash = server.store(Buffer.from('x'))
  const blobs = new Blobs()
  const pulled = new PulledChanges(blobs)
  const changes = [
    { space: '~', value: ['~blob', '', 1, hash] },
    { space: '~', value: 1 },
  ]
  await blobs.fetch('pulled', pulled.keep(JSON.stringify({ changes })), server.request)
  expect(server.log).toEqual([])
  const code = expect.objectContaining({ code: 'insecure-context' })
  expect(() => pulled.value(0)).toThrow(code)
  expect(pulled.value(1)).toBe(1)
})
