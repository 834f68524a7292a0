import { type App, expect, test, type World } from '../support/e2e'

const USER = 'ann'

/** Two devices of one user, of which the second notes what arrives. */
async function devices(world: World, timing: object): Promise<readonly [App, App]> {
  const { app: here } = await world.open(USER, { timing })
  const { app: there } = await (await world.device()).open(USER, { timing })
  await there.evaluate((m) => m.listen())
  await world.proxy.until(({ openStreams }) => openStreams.length === 2)
  return [here, there]
}

/** Edits here and waits until it is there: the times of both, in ms since 1970. */
async function edit([here, there]: readonly [App, App], n: number): Promise<[number, number]> {
  const arrived = there.evaluate((m, value) => m.untilRecord('notes', 'a', value), { id: 'a', n })
  const at = await here.evaluate(async (m, value) => {
    const before = Date.now()
    await m.putNote('a', { n: value })
    return before
  }, n)
  await arrived
  return [at, (await there.evaluate((m) => m.events.at(-1)?.at)) ?? 0]
}

function report(what: string, times: readonly number[]): void {
  const sorted = times.toSorted((a, b) => a - b)
  const of = (part: number) => Math.round(sorted[Math.floor(part * (sorted.length - 1))] ?? 0)
  console.log(`${what}: median ${of(0.5)} ms, p95 ${of(0.95)} ms, n ${times.length}`)
}

test("from a push at the server to the other device's event", async ({ world }) => {
  const both = await devices(world, { bufferMs: 0, throttleMs: 0 })
  const times: number[] = []
  for (let n = 1; n <= 50; n++) {
    const pushes = world.proxy.pushes.length
    const [, arrivedAt] = await edit(both, n)
    await world.proxy.until((it) => it.pushes[pushes]?.endedAt !== undefined)
    // When the push had come whole: the server commits after that.
    times.push(arrivedAt - performance.timeOrigin - (world.proxy.pushes[pushes]?.at ?? 0))
  }
  expect(times).toHaveLength(50)
  report('from a push at the server to the event elsewhere', times)
})

test("at the defaults, from an edit to the other device's event", async ({ world }) => {
  const both = await devices(world, {})
  const [at, arrivedAt] = await edit(both, 1)
  report('from a single edit to the event elsewhere', [arrivedAt - at])
  const times: number[] = []
  for (let n = 2; n <= 5; n++) {
    const [before, after] = await edit(both, n)
    times.push(after - before)
  }
  expect(times).toHaveLength(4)
  report('from each of several edits in a row', times)
})
