import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openModule } from '../support/page'
import { test as base, expect } from '../support/test'

type Fixture = typeof import('./fixtures/shell')
type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** A server that answers as its test says. */
interface Backend {
  readonly url: string
  /** Requests so far, without those that ask for permission. */
  readonly requests: IncomingMessage[]
  answer: Answer
}

const ALLOWED = {
  'access-control-allow-headers': 'authorization, content-type, content-encoding',
  'access-control-expose-headers': 'retry-after',
}

const test = base.extend<{ backend: Backend }>({
  entry: 'tests/browser/fixtures/shell.ts',
  backend: async ({ origin }, use) => {
    const requests: IncomingMessage[] = []
    const server = createServer((request, response) => {
      response.setHeader('access-control-allow-origin', origin.url)
      if (request.method === 'OPTIONS') response.writeHead(204, ALLOWED).end()
      else {
        requests.push(request)
        backend.answer(request, response)
      }
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const backend: Backend = { url: `http://127.0.0.1:${port}`, requests, answer: () => undefined }
    await use(backend)
    await closed(server)
  },
})

function closed(server: Server): Promise<unknown> {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(resolve))
}

/** Begins a stream and gives the way to write to it. */
function streaming(backend: Backend): Promise<ServerResponse> {
  return new Promise((resolve) => {
    backend.answer = (_, response) => {
      response.writeHead(200, { ...ALLOWED, 'content-type': 'text/event-stream' })
      response.flushHeaders()
      resolve(response)
    }
  })
}

const OPEN = { type: 'openStream', subject: 'ann', token: 'request' } as const
const PULL = { type: 'pull', query: 'limit=2&cursor=x', subject: 'ann', token: 'request' } as const

test('a pull asks under its query with a token, and gives the answer as it came', async ({
  page,
  origin,
  backend,
}) => {
  backend.answer = (_, response) =>
    response.writeHead(429, { ...ALLOWED, 'retry-after': '7' }).end('{"code":"rate-limited"}')
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(
    async (m, { url, pull }) => {
      const asked: unknown[] = []
      const getToken = (request: unknown) => {
        asked.push(request)
        return 'secret'
      }
      const engine = new m.PlayedEngine('app', { url: `${url}/base/`, getToken })
      return { outcome: await engine.ask({ ...pull, timeoutMs: 5_000 }), asked }
    },
    { url: backend.url, pull: PULL },
  )
  expect(found).toEqual({
    outcome: { is: 'answer', status: 429, retryAfter: '7', body: '{"code":"rate-limited"}' },
    asked: [{ reason: 'request', userId: 'ann' }],
  })
  const [request] = backend.requests
  expect(request?.url).toBe('/base/api/sync/pull?limit=2&cursor=x')
  expect(request?.headers.authorization).toBe('Bearer secret')
})

test('no answer is told by its reason', async ({ page, origin, backend }) => {
  const app = await openModule<Fixture>(page, origin)
  const failures = await app.evaluate(
    async (m, { url, pull }) => {
      const outcome = async (
        getToken: () => string | null | Promise<string>,
        timeoutMs: number,
      ) => {
        const engine = new m.PlayedEngine('app', { url, getToken })
        return (await engine.ask({ ...pull, timeoutMs })) as { failure: string }
      }
      const outcomes = [
        await outcome(() => null, 5_000),
        await outcome(() => Promise.reject(new Error('secret')), 5_000),
        await outcome(() => new Promise(() => undefined), 50),
        await outcome(() => 'token', 50),
      ]
      const push = { type: 'push', batch: 9, first: 0, last: 1, envelope: '{' } as const
      const { query: _, ...asked } = pull
      const engine = new m.PlayedEngine('app', { url })
      const batch = await engine.ask({ ...asked, ...push, timeoutMs: 5_000 })
      return [...outcomes, batch as { failure: string }].map(({ failure }) => failure)
    },
    { url: backend.url, pull: PULL },
  )
  expect(failures).toEqual(['no-token', 'token-failed', 'timeout', 'timeout', 'no-batch'])
  expect(backend.requests).toHaveLength(1)
})

test('a request that is given up reaches nobody, and the next one is not', async ({
  page,
  origin,
  backend,
}) => {
  backend.answer = (_, response) => response.writeHead(200, ALLOWED).end('{}')
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(
    async (m, { url, pull }) => {
      const tokens: ((token: string) => void)[] = []
      const getToken = () => new Promise<string>((resolve) => tokens.push(resolve))
      const engine = new m.PlayedEngine('app', { url, getToken })
      const first = engine.ask({ ...pull, timeoutMs: 5_000 })
      engine.start({ type: 'abortRequest' })
      tokens[0]?.('late')
      const outcomes = [await first]
      const second = engine.ask({ ...pull, timeoutMs: 5_000 })
      tokens[1]?.('token')
      outcomes.push(await second)
      return outcomes
    },
    { url: backend.url, pull: PULL },
  )
  expect(found[0]).toEqual({ is: 'failed', failure: 'network' })
  expect(found[1]).toMatchObject({ is: 'answer', status: 200 })
  expect(backend.requests).toHaveLength(1)
})

test('every poke of the stream is told, and its end', async ({ page, origin, backend }) => {
  const stream = streaming(backend)
  const app = await openModule<Fixture>(page, origin)
  const engine = await app.evaluateHandle(
    (m, url) => new m.PlayedEngine('app', { url }),
    backend.url,
  )
  const ended = engine.evaluate((it, open) => it.ask(open), OPEN)
  const response = await stream
  expect(backend.requests[0]?.url).toBe('/api/sync/stream')
  const pokes = (count: number) =>
    engine.evaluate((it, n) => {
      const poked = () => it.inputs.filter(({ type }) => type === 'poked').length
      return it.until(() => poked() >= n).then(poked)
    }, count)
  response.write(': here\n\nevent: poke\ndata: {}\n\nevent: po')
  expect(await pokes(1)).toBe(1)
  response.write('ke\ndata: {}\n\nevent: other\ndata: {}\n\nevent: poke\ndata: {}\n\n')
  expect(await pokes(3)).toBe(3)
  response.end()
  expect(await ended).toEqual({ is: 'answer', status: 200, retryAfter: null, body: '' })
})

test('a stream that is refused gives the answer, and one that breaks the reason', async ({
  page,
  origin,
  backend,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const engine = await app.evaluateHandle(
    (m, url) => new m.PlayedEngine('app', { url }),
    backend.url,
  )
  backend.answer = (_, response) => response.writeHead(401, ALLOWED).end('{"code":"unauthorized"}')
  expect(await engine.evaluate((it, open) => it.ask(open), OPEN)).toEqual({
    is: 'answer',
    status: 401,
    retryAfter: null,
    body: '{"code":"unauthorized"}',
  })
  const stream = streaming(backend)
  const ended = engine.evaluate((it, open) => it.ask(open), OPEN)
  ;(await stream).destroy()
  expect(await ended).toEqual({ is: 'failed', failure: 'network' })
})

test('a stream that says nothing for longer than a server may is given up', async ({
  page,
  origin,
  backend,
}) => {
  await page.clock.install()
  const stream = streaming(backend)
  const app = await openModule<Fixture>(page, origin)
  const engine = await app.evaluateHandle(
    (m, url) => new m.PlayedEngine('app', { url }),
    backend.url,
  )
  const ended = engine.evaluate((it, open) => it.ask(open), OPEN)
  await stream
  await page.clock.runFor(45_000)
  expect(await ended).toEqual({ is: 'failed', failure: 'timeout' })
})

test('a stream that is closed, or replaced, is not told of any more', async ({
  page,
  origin,
  backend,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const engine = await app.evaluateHandle(
    (m, url) => new m.PlayedEngine('app', { url }),
    backend.url,
  )
  const gone = (response: ServerResponse) =>
    new Promise((resolve) => response.once('close', resolve))
  let stream = streaming(backend)
  await engine.evaluate((it, open) => it.start(open), OPEN)
  let left = gone(await stream)
  stream = streaming(backend)
  await engine.evaluate((it, open) => it.start(open), OPEN)
  await left
  left = gone(await stream)
  await engine.evaluate((it) => it.start({ type: 'closeStream' }))
  await left
  stream = streaming(backend)
  await engine.evaluate((it, open) => it.start(open), OPEN)
  left = gone(await stream)
  await engine.evaluate((it) => it.shell.stop())
  await left
  const types = await engine.evaluate((it) => it.inputs.map(({ type }) => type))
  expect(types.filter((type) => type !== 'timeout')).toEqual(['stop'])
})
