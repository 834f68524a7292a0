import { openModule } from '../support/page'
import { expect, test } from '../support/test'

type Fixture = typeof import('../../www/src/leadership')

test.use({ entry: 'www/src/leadership.ts' })

test('one tab leads, the next in line follows it, and each is told once', async ({
  page,
  origin,
}) => {
  const module = await openModule<Fixture>(page, origin)
  const told = await module.evaluate(async ({ Leadership }) => {
    const events: string[] = []
    const waiting: (() => void)[] = []
    const make = (name: string) =>
      new Leadership('order', {
        lead: () => {
          events.push(`${name} leads`)
          waiting.shift()?.()
        },
        follow: () => events.push(`${name} follows`),
      })
    const next = () => new Promise<void>((resolve) => waiting.push(resolve))
    const [first, second] = [make('first'), make('second')]
    const firstLeads = next()
    first.start()
    await firstLeads
    second.start()
    const secondLeads = next()
    first.stop()
    await secondLeads
    second.stop()
    return events
  })
  expect(told).toEqual(['first leads', 'first follows', 'second leads', 'second follows'])
})

test('who takes over twice before the lock is granted leads once', async ({ page, origin }) => {
  const module = await openModule<Fixture>(page, origin)
  const told = await module.evaluate(async ({ Leadership }) => {
    const events: string[] = []
    let granted: (name: string) => void = () => undefined
    const make = (name: string) =>
      new Leadership('twice', {
        lead: () => {
          events.push(`${name} leads`)
          granted(name)
        },
        follow: () => events.push(`${name} follows`),
      })
    const leads = (name: string) =>
      new Promise<void>((resolve) => {
        granted = (leader) => leader === name && resolve()
      })
    const [first, second] = [make('first'), make('second')]
    const begun = leads('first')
    first.start()
    await begun
    const taken = leads('second')
    second.start()
    second.takeOver()
    second.takeOver()
    await taken
    second.takeOver()
    // The line is empty behind them once a third request of the same name is granted.
    const back = leads('first')
    second.stop()
    await back
    first.stop()
    return events
  })
  // Who was robbed may hear of it after the robber.
  const of = (name: string) => told.filter((event) => event.startsWith(name))
  expect(of('second')).toEqual(['second leads', 'second follows'])
  expect(of('first')).toEqual(['first leads', 'first follows', 'first leads', 'first follows'])
})

test('a leader that cannot begin lets the next one lead', async ({ page, origin }) => {
  const module = await openModule<Fixture>(page, origin)
  page.on('pageerror', () => undefined)
  const leads = await module.evaluate(async ({ Leadership }) => {
    const broken = new Leadership('broken', {
      lead: () => {
        throw new Error('no database')
      },
      follow: () => undefined,
    })
    broken.start()
    await new Promise<void>((resolve) => {
      const next = new Leadership('broken', { lead: resolve, follow: () => undefined })
      next.start()
    })
    return true
  })
  expect(leads).toBe(true)
})
