import { type App, expect, test, type World } from '../support/e2e'

const USER = 'ann'
const TABLES = {
  projects: {},
  steps: { references: { project: 'projects' } },
}
/** Nothing is synced but when a test says so. */
const BY_HAND = {
  tables: TABLES,
  live: false,
  timing: { bufferMs: 3_600_000, throttleMs: 0 },
}

interface Project {
  readonly id: number
  readonly name: string
}

interface Step {
  readonly id: number
  readonly name: string
  readonly project: number
}

async function open(world: World): Promise<App> {
  const { app } = await world.load()
  await app.evaluate((m) => m.openGenerated())
  const start = { url: world.proxy.url, user: USER, options: BY_HAND }
  await app.evaluate((m, options) => m.start(options), start)
  return app
}

async function sync(...apps: App[]): Promise<void> {
  for (const app of apps) expect(await app.evaluate((m) => m.forceSync())).toBe(true)
}

/** Adds a project with steps, as an app with `++id` does. */
async function addProject(app: App, name: string, steps: readonly string[]): Promise<void> {
  await app.evaluate(
    async (m, [project, names]) => {
      const [id] = await m.write({ do: 'add', store: 'projects', value: { name: project } })
      for (const step of names) {
        await m.write({ do: 'add', store: 'steps', value: { name: step, project: id } })
      }
    },
    [name, steps] as const,
  )
}

/** Each project's name with the names of its steps. */
async function outline(app: App): Promise<Record<string, string[]>> {
  const values = async (store: string) =>
    (await app.evaluate((m, name) => m.readAll(name), store)).map(([, value]) => value)
  const projects = (await values('projects')) as Project[]
  const steps = (await values('steps')) as Step[]
  const of = ({ id }: Project) => steps.filter(({ project }) => project === id)
  const names = projects.map(
    (it) =>
      [
        it.name,
        of(it)
          .map(({ name }) => name)
          .sort(),
      ] as const,
  )
  return Object.fromEntries(names)
}

test('two devices that number their records alike keep all of them, each with its own', async ({
  world,
}) => {
  const here = await open(world)
  const there = await open(await world.device())
  await addProject(here, 'house', ['walls', 'roof'])
  await addProject(there, 'garden', ['trees', 'pond', 'gate'])
  await addProject(there, 'cellar', ['stairs'])
  await sync(here, there, here)
  const all = {
    house: ['roof', 'walls'],
    garden: ['gate', 'pond', 'trees'],
    cellar: ['stairs'],
  }
  expect(await outline(here)).toEqual(all)
  expect(await outline(there)).toEqual(all)

  // A record that came from there is moved to a project that was made here, and the other way round.
  await here.evaluate(async (m) => {
    const steps = (await m.readAll('steps')).map(([, value]) => value as Step)
    const projects = (await m.readAll('projects')).map(([, value]) => value as Project)
    const house = projects.find(({ name }) => name === 'house')?.id ?? 0
    const pond = steps.find(({ name }) => name === 'pond') as Step
    await m.write({ do: 'put', store: 'steps', value: { ...pond, project: house } })
  })
  await there.evaluate(async (m) => {
    const steps = (await m.readAll('steps')).map(([, value]) => value as Step)
    const roof = steps.find(({ name }) => name === 'roof') as Step
    await m.write({ do: 'delete', store: 'steps', key: roof.id })
  })
  await sync(here, there, here)
  const moved = { house: ['pond', 'walls'], garden: ['gate', 'trees'], cellar: ['stairs'] }
  expect(await outline(here)).toEqual(moved)
  expect(await outline(there)).toEqual(moved)

  // On the server a reference names the record that it means, and no device's number.
  const projects = await world.server.docs(USER, 'projects')
  const steps = await world.server.docs(USER, 'steps')
  expect([projects.size, steps.size]).toEqual([3, 5])
  for (const step of steps.values()) {
    const { project } = step as { project: unknown }
    expect([...projects.keys()]).toContain(JSON.stringify(project).match(/r[\w-]{22}/)?.[0])
  }

  // A third device gets the same, under numbers of its own.
  const third = await open(await world.device())
  await addProject(third, 'attic', ['floor'])
  await sync(third, here)
  expect(await outline(third)).toEqual({ ...moved, attic: ['floor'] })
  expect(await outline(here)).toEqual({ ...moved, attic: ['floor'] })
})
