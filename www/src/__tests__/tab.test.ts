import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Calls } from '../calls'
import type { CloudSyncOptions } from '../config'
import { RecordWatches } from '../record-sync'
import { StatusStore } from '../status-store'
import { Tab, type TabState } from '../tab'
import type { TabMessage } from '../tabs'

vi.mock('../engine-module', () => ({
  loadEngine: async (source: () => unknown) => source(),
  onEnginePanic: () => () => undefined,
}))

/** One request for the lock of a database, as the browser has it. */
interface Claim {
  readonly grant: () => void
  readonly rob: () => void
}

let claims: Claim[]
let visibility: DocumentVisibilityState
let page: EventTarget
let ended: (() => void)[]

beforeEach(() => {
  claims = []
  visibility = 'visible'
  page = new EventTarget()
  ended = []
  const request = (_name: string, _options: LockOptions, held: () => Promise<void>) =>
    new Promise<void>((_, reject) => {
      claims.push({
        grant: () => void held(),
        rob: () => reject(new DOMException('stolen', 'AbortError')),
      })
    })
  vi.stubGlobal('navigator', { onLine: true, locks: { request } })
  vi.stubGlobal('document', page)
  Object.defineProperty(page, 'visibilityState', { get: () => visibility })
  vi.stubGlobal('addEventListener', () => undefined)
  vi.stubGlobal('removeEventListener', () => undefined)
})

afterEach(() => {
  for (const end of ended) end()
  vi.unstubAllGlobals()
})

/** A module that never comes, so that no engine begins. */
const NEVER = () => new Promise(() => undefined) as unknown as undefined

function begin(wasm: TabState['wasm'] = NEVER) {
  const options: CloudSyncOptions = { url: 'https://a.example', getToken: () => null, logger }
  const records = new RecordWatches({
    watching: (names) => tab.watching(names),
    ask: () => undefined,
    heldCode: () => Promise.resolve(''),
  })
  const state: TabState = {
    ...{ id: 'here', options, wasm, records },
    ...{ status: new StatusStore(), calls: new Calls() },
    ...{ user: 'ann', writer: 'ann', enabled: undefined },
  }
  const tab = new Tab('app', state)
  ended.push(() => tab.stop())
  tab.start()
  const call = () => state.calls.begin({ type: 'forceSync' }, (id) => tab.call(id, SYNC))
  return { tab, state, call }
}

const SYNC = { type: 'forceSync' } as const
const logger = () => undefined

/** Another tab: what it hears, in order. */
class Other {
  readonly heard: TabMessage[] = []
  readonly #channel = new BroadcastChannel('tidesync:app:tabs')
  #waiting: (() => void) | undefined
  #greetings = 0

  constructor() {
    this.#channel.onmessage = ({ data }) => {
      this.heard.push(data)
      this.#waiting?.()
    }
    ended.push(() => this.#channel.close())
  }

  send(message: TabMessage): void {
    this.#channel.postMessage(message)
  }

  /** Waits for a message, also one that came before. */
  async hears<Type extends TabMessage['type']>(
    type: Type,
  ): Promise<Extract<TabMessage, { type: Type }>> {
    const found = () => this.heard.find((message) => message.type === type)
    await this.until(() => found() !== undefined)
    return found() as Extract<TabMessage, { type: Type }>
  }

  async until(wanted: () => boolean): Promise<void> {
    while (!wanted()) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve
      })
    }
  }

  /** Has the leader come so far, and forgets what was heard. */
  async greeted(): Promise<void> {
    const id = `${this.#greetings++}`
    this.send({ type: 'call', id, user: 'a stranger', request: SYNC })
    await this.until(() => this.heard.some((it) => it.type === 'result' && it.id === id))
    this.heard.length = 0
  }
}

it('asks the next leader for what its app waits for, also where that one was faster to tell', async () => {
  const other = new Other()
  const { call } = begin()
  claims[0]?.grant()
  await other.greeted()
  const confirmed = call()
  other.send({ type: 'leading' })
  await other.greeted()
  claims[0]?.rob()
  const { id } = await other.hears('call')
  await other.hears('hello')
  other.send({ type: 'result', id, ok: true })
  expect(await confirmed).toBe(true)
})

it('says nothing to others when it stops', async () => {
  const other = new Other()
  const { tab, call } = begin()
  claims[0]?.grant()
  await other.greeted()
  void call()
  tab.stop()
  const next = begin()
  await other.hears('hello')
  expect(other.heard.map(({ type }) => type)).toEqual(['hello'])
  next.tab.stop()
})

it('is not told by a tab that thaws who was signed in before', async () => {
  const other = new Other()
  const { state } = begin()
  claims[0]?.grant()
  const hello = { type: 'hello', tab: 'there', visible: true, user: 'bob' } as const
  other.send(hello)
  await other.greeted()
  expect(state.user).toBe('ann')
  other.send({ ...hello, news: true })
  await other.greeted()
  expect(state.user).toBe('bob')
  state.user = null
  other.send(hello)
  await other.greeted()
  expect(state.user).toBe('bob')
})

it('answers a call once, however often it is asked', async () => {
  const other = new Other()
  let fail: (error: Error) => void = () => undefined
  begin(() => {
    const module = new Promise((_, reject) => {
      fail = reject
    })
    return module as unknown as undefined
  })
  claims[0]?.grant()
  for (const id of ['a', 'a', 'b']) other.send({ type: 'call', id, user: null, request: SYNC })
  await other.greeted()
  fail(new Error('no module'))
  await other.until(() => other.heard.some((it) => it.type === 'result' && it.id === 'b'))
  const results = other.heard.filter(({ type }) => type === 'result')
  expect(results).toEqual([
    { type: 'result', id: 'a', ok: false },
    { type: 'result', id: 'b', ok: false },
  ])
})

it('says that nobody looks at it while it leads', async () => {
  const other = new Other()
  begin()
  claims[0]?.grant()
  await other.greeted()
  visibility = 'hidden'
  page.dispatchEvent(new Event('visibilitychange'))
  expect(await other.hears('alive')).toEqual({ type: 'alive', visible: false })
})
