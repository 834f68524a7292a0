import { expect, test } from '../support/e2e'

const USER = 'ann'

/** What a held row says of itself. */
interface Held {
  readonly table: string
  readonly lid: string
  readonly code: string
  readonly message: string
}

test.describe('a record that cannot be synced is held, and the 99 others arrive', () => {
  test.use({ serverFlags: ['--tables', 'notes,tasks'] })

  test('because the server keeps no such table', async ({ world }) => {
    const { app } = await world.open(USER)
    await app.evaluate(async (m) => {
      const writes = Array.from({ length: 99 }, (_, n) => ({
        do: 'put' as const,
        store: 'notes',
        value: { id: `n${n}` },
      }))
      await m.write(...writes, { do: 'put', store: 'loose', key: 'bad', value: 1 })
      await m.until({ pending: 0, phase: 'idle' })
    })

    expect((await world.server.docs(USER, 'notes')).size).toBe(99)
    expect((await world.server.docs(USER, 'loose')).size).toBe(0)
    expect(await app.evaluate((m) => m.status())).toMatchObject({ held: 1, consecutiveFailures: 0 })
    expect(await heldRows(app)).toMatchObject([
      { table: 'loose', lid: 'sbad', code: 'unknown-table' },
    ])
  })

  const values: [string, string, () => unknown][] = [
    ['a list of files', 'unsupported-type', () => new DataTransfer().files],
    ['65 levels', 'too-deep', () => nested(65)],
  ]

  for (const [name, code, make] of values) {
    test(`because its value has ${name}`, async ({ world }) => {
      const { app } = await world.open(USER)
      await app.evaluate(
        async (m, source) => {
          const bad: unknown = new Function(`${source.helpers}; return (${source.make})()`)()
          const good = Array.from({ length: 99 }, (_, n) => ({
            do: 'put' as const,
            store: 'notes',
            value: { id: `n${n}` },
          }))
          const put = { do: 'put' as const, store: 'notes', value: { id: 'bad', bad } }
          await m.write(...good.slice(0, 50), put, ...good.slice(50))
          await m.until({ pending: 0, phase: 'idle' })
        },
        { make: make.toString(), helpers: nested.toString() },
      )

      const docs = await world.server.docs(USER, 'notes')
      expect(docs.size).toBe(99)
      expect(docs.has('sbad')).toBe(false)
      expect(world.proxy.answeredOps.map(({ rid }) => rid)).not.toContain('sbad')
      const held = await heldRows(app)
      expect(held).toMatchObject([{ table: 'notes', lid: 'sbad', code }])
      expect(held[0]?.message).toContain('bad')
    })
  }

  test('an operation that makes the server refuse the whole request is found and held', async ({
    world,
  }) => {
    const { app } = await world.open(USER)
    world.proxy.script((_, { ops }) =>
      ops.some(({ rid }) => rid === 'sn42')
        ? {
            is: 'answer',
            status: 400,
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ code: 'malformed', message: 'cannot be read' }),
          }
        : { is: 'forward' },
    )
    await app.evaluate(async (m) => {
      await m.putNotes(100)
      await m.until({ pending: 0, phase: 'idle' })
    })

    expect((await world.server.docs(USER, 'notes')).size).toBe(99)
    expect(await heldRows(app)).toMatchObject([{ lid: 'sn42', code: 'malformed' }])
    // I27: at most log2(100) + 2 requests are spent on the search.
    expect(world.proxy.pushes.filter(({ status }) => status === 400).length).toBeLessThanOrEqual(9)
  })

  test('a later change of a held record replaces it and is sent', async ({ world }) => {
    const { app } = await world.open(USER)
    await app.evaluate(async (m) => {
      await m.write({
        do: 'put',
        store: 'notes',
        value: { id: 'n', file: JSON.parse('['.repeat(99) + ']'.repeat(99)) },
      })
      await m.until({ held: 1, pending: 0, phase: 'idle' })
      await m.putNote('n', { file: 'gone' })
      await m.until({ held: 0, pending: 0, phase: 'idle' })
    })
    expect((await world.server.docs(USER, 'notes')).get('sn')).toEqual({ id: 'n', file: 'gone' })
    expect(await heldRows(app)).toEqual([])
  })
})

test('the token of another user is refused, and nothing is stored under either', async ({
  world,
}) => {
  world.token = () => world.server.token('mallory')
  const { app } = await world.open(USER)
  await app.evaluate((m) => m.putNotes(3))
  const refused = await app.evaluate((m) => m.until({ phase: 'needs-auth' }))
  expect(refused).toMatchObject({
    pending: 3,
    consecutiveFailures: 0,
    lastError: { code: 'wrong-subject' },
  })
  expect(world.proxy.pushes.map(({ status }) => status)).toEqual([403])
  expect((await world.server.state()).records).toEqual([])

  world.token = ({ userId }) => world.server.token(userId)
  await app.evaluate((m) => m.initAutoSync('ann'))
  await app.evaluate((m) => m.until({ pending: 0, phase: 'idle' }))
  expect((await world.server.docs(USER, 'notes')).size).toBe(3)
})

test('a token that has ended is renewed once, and no retry is spent', async ({ world }) => {
  let lifetimeSeconds = -3_600
  world.token = ({ reason, userId }) => {
    if (reason === 'expired') lifetimeSeconds = 3_600
    return world.server.token(userId, { lifetimeSeconds })
  }
  const { app } = await world.open(USER, { live: false })
  await app.evaluate(async (m) => {
    await m.putNotes(3)
    await m.until({ pending: 0, phase: 'idle' })
  })
  const asked = await app.evaluate((m) => m.tokenRequests.map(({ reason }) => reason))
  expect(asked.filter((reason) => reason === 'expired')).toHaveLength(1)
  // A pull may have found out before the push.
  const answers = world.proxy.pushes.map(({ status }) => status)
  expect(answers.filter((status) => status !== 401)).toEqual([200])
  expect(await app.evaluate((m) => m.statuses.some((it) => it.consecutiveFailures > 0))).toBe(false)
  expect((await world.server.state()).operations).toHaveLength(3)
})

test('a session that has ended for good waits for a sign-in, asking once', async ({ world }) => {
  world.token = ({ userId }) => world.server.token(userId, { lifetimeSeconds: -3_600 })
  const { app } = await world.open(USER, { live: false })
  await app.evaluate((m) => m.putNotes(3))
  await app.evaluate((m) => m.until({ phase: 'needs-auth' }))
  await app.evaluate((m) => m.putNote('more'))
  expect(await app.evaluate((m) => m.status())).toMatchObject({
    phase: 'needs-auth',
    pending: 4,
    consecutiveFailures: 0,
  })
  const asked = await app.evaluate((m) => m.tokenRequests.map(({ reason }) => reason))
  expect(asked.filter((reason) => reason === 'expired')).toHaveLength(1)
  expect(world.proxy.pushes.filter(({ status }) => status !== 401)).toEqual([])

  world.token = ({ userId }) => world.server.token(userId)
  expect(await app.evaluate((m) => m.forceSync())).toBe(true)
  expect((await world.server.docs(USER, 'notes')).size).toBe(4)
})

function heldRows(app: import('../support/e2e').App): Promise<Held[]> {
  return app.evaluate(async (m) => {
    const entries = await m.rawEntries('tidesync.held')
    return entries.map(([, row]) => {
      const { table, lid, code, message } = row as Held
      return { table, lid, code, message }
    })
  })
}

function nested(levels: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < levels; level++) value = [value]
  return value
}

test('a key that nests too deep for a text is left out and told of, and the rest goes on', async ({
  world,
}) => {
  const { app } = await world.open(USER)
  const found = await app.evaluate(async (m) => {
    const key = m.nested(80) as IDBValidKey
    const put = { do: 'put', store: 'loose', value: 1 } as const
    await m.write(
      { ...put, key },
      { ...put, key: 'a' },
      { do: 'put', store: 'notes', value: { id: 'b' } },
    )
    await m.write({ do: 'delete', store: 'loose', key }, { ...put, key: 'c' })
    await m.until({ pending: 0, phase: 'idle' })
    const left = await m.rawEntries('tidesync.log.loose')
    const synced = await m.triggerBackup()
    await m.write({ ...put, key })
    await m.until({ pending: 0, phase: 'idle' })
    return { synced, again: await m.triggerBackup(), left, lines: m.lines }
  })
  // What is left out is not on the server, and a backup without it is none.
  expect(found).toMatchObject({ synced: true, again: false, left: [] })
  expect(found.lines).toContain('error Record left out (table loose): bad-key')
  expect([...(await world.server.docs(USER, 'loose')).keys()].sort()).toEqual(['sa', 'sc'])
  expect((await world.server.docs(USER, 'notes')).size).toBe(1)
})
