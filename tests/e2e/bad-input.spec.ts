import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test, type World } from '../support/e2e'

/** What the server says to input that no page of ours would send: a clear typed error each. */

const USER = 'ann'
const CLIENT = 'AAAAAAAAAAAAAAAAAAAAAA'

async function post(world: World, body: string, token = world.server.token(USER)) {
  const response = await fetch(`${world.server.url}/api/sync/push`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body,
  })
  return { status: response.status, body: await response.json() }
}

function push(ops: object[], subject = USER): string {
  return JSON.stringify({ protocol: 1, client: CLIENT, subject, batch: 'b', ops })
}

/** An operation as the engine made it, from a page. */
async function realOp(world: World): Promise<Record<string, unknown>> {
  const { app } = await world.open('zoe')
  await app.evaluate(async (m) => {
    await m.putNote('real', { text: 'good' })
    await m.until({ pending: 0, phase: 'idle' })
  })
  return { ...world.proxy.pushes[0]?.body.ops[0] }
}

test('a malformed push is refused as a whole, typed, and stores nothing', async ({ world }) => {
  for (const body of ['', '{', '[]', '{"protocol":1}', JSON.stringify({ ops: [] })]) {
    expect(await post(world, body)).toMatchObject({
      status: 400,
      body: { code: 'malformed', message: expect.stringMatching(/\S/) },
    })
  }
  expect((await world.server.state()).records).toEqual([])
})

test('bad operations are refused alone, each with its code; the good one is stored', async ({
  world,
}) => {
  const good = { ...(await realOp(world)), op: 'x.1' }
  const answer = await post(
    world,
    push([
      { ...good, op: 'x.2', rid: '' },
      { ...good, op: 'x.5', rid: undefined },
      { ...good, op: 'x.3', rid: 'not a key' },
      { ...good, op: 'x.4', value: { id: 'real', text: 'altered' } },
      good,
    ]),
  )
  expect(answer.status).toBe(200)
  const verdicts = new Map<string, { verdict: string; code?: string }>(
    answer.body.verdicts.map((it: { op: string }) => [it.op, it]),
  )
  expect(verdicts.get('x.1')?.verdict).toBe('applied')
  expect(verdicts.get('x.2')).toMatchObject({ verdict: 'rejected', code: 'bad-key' })
  expect(verdicts.get('x.5')).toMatchObject({ verdict: 'rejected', code: 'malformed' })
  expect(verdicts.get('x.3')).toMatchObject({ verdict: 'rejected', code: 'bad-key' })
  expect(verdicts.get('x.4')).toMatchObject({ verdict: 'retry', code: 'hash-mismatch' })
  expect(await world.server.docs(USER, 'notes')).toEqual(
    new Map([['sreal', { id: 'real', text: 'good' }]]),
  )
})

test('tokens that do not hold and subjects of others are refused', async ({ world }) => {
  const good = world.server.token(USER)
  const [head, claims] = good.split('.')
  const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${claims}.`
  for (const token of ['', 'x', none, `${head}.${claims}.AAAA`]) {
    expect(await post(world, push([]), token)).toMatchObject({
      status: 401,
      body: { code: 'unauthorized' },
    })
  }
  expect(await post(world, push([], 'bob'))).toMatchObject({
    status: 403,
    body: { code: 'wrong-subject' },
  })
})

test('a wrong flag is refused with its name, its value and what is allowed', () => {
  const target = process.env.CARGO_TARGET_DIR ?? 'target'
  const run = (...flags: string[]) =>
    spawnSync(join(target, 'debug/tidesync'), ['serve', ...flags], { encoding: 'utf8' })
  const cases: [string, string, RegExp][] = [
    ['--listen', 'nowhere', /an IP address and a port/],
    ['--database', 'mysql:x', /sqlite: and the path/],
    ['--allow-origin', 'example.com/', /an origin as browsers write it/],
    ['--body-bytes-max', '7', /1024\.\.=/],
  ]
  for (const [flag, value, allowed] of cases) {
    const { status, stderr } = run('--dev', flag, value)
    expect(status).toBe(2)
    expect(stderr).toContain(flag)
    expect(stderr).toContain(value)
    expect(stderr).toMatch(allowed)
  }
})
