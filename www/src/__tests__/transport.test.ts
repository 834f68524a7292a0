import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { downloadBlob } from '../shell/blob-lane'
import { Silence, wholeAnswer } from '../shell/request'
import { Transport } from '../shell/transport'
import { sha256 } from './blob-server'

const LIMIT = 100
const BYTES = Buffer.alloc(8, 'x')

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

/** The bytes one by one; so many milliseconds pass whenever one is waited for. */
function slowly(ms: number): Response {
  let sent = 0
  const pull = (to: ReadableStreamDefaultController<Uint8Array>) => {
    vi.advanceTimersByTime(ms)
    if (sent === BYTES.length) to.close()
    else to.enqueue(BYTES.subarray(sent, sent + 1))
    sent += 1
  }
  return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }))
}

/** What a pull comes to whose answer names a Blob, which comes at this pace. */
function pullWith(ms: number): Promise<unknown> {
  const answer = (url: string) => (url.includes('/blob/') ? slowly(ms) : new Response('{}'))
  vi.stubGlobal('fetch', async (url: string) => answer(url))
  const transport = new Transport({ url: 'http://sync.test', getToken: () => 'token' }, false)
  const pull = { type: 'pull', task: 1, query: '', subject: 'ann', token: 'request' } as const
  const name = { hash: sha256(BYTES), size: BYTES.length }
  return transport.pull({ ...pull, timeoutMs: LIMIT }, async (_, request) => {
    await downloadBlob(request, name, [])
  })
}

it('a file on a slow line has as long as it needs while pieces come', async () => {
  expect(await pullWith(LIMIT - 10)).toMatchObject({ is: 'answer', status: 200 })
})

it('a file whose next piece does not come in time is given up', async () => {
  expect(await pullWith(LIMIT + 10)).toEqual({ is: 'failed', failure: 'timeout' })
})

it('a wait that an answer asks for is told in seconds, also where it is a date', async () => {
  vi.setSystemTime(Date.UTC(1994, 10, 6, 8, 49, 30, 500))
  const told = async (header: string) => {
    const answer = await wholeAnswer(new Response('', { headers: { 'retry-after': header } }))
    return answer.retryAfter
  }
  expect(await told('120')).toBe('120')
  expect(await told('Sun, 06 Nov 1994 08:49:37 GMT')).toBe('7')
  expect(await told('Sun, 06 Nov 1994 08:49:27 GMT')).toBe('0')
  for (const wrong of ['soon', 'Sun, 06 XXX 1994 08:49:37 GMT']) {
    expect(await told(wrong)).toBe(wrong)
  }
})

it('what goes on after the end of a wait begins no new one', () => {
  let over = 0
  const silence = new Silence(LIMIT, () => {
    over += 1
  })
  silence.broken()
  silence.end()
  silence.broken()
  vi.advanceTimersByTime(2 * LIMIT)
  expect(over).toBe(0)
})
