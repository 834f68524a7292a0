/** The engine as this tab runs it while it leads: loaded, fed, and replaced when it panics. */

import { type CloudSyncOptions, compresses, engineConfig, type Logger } from './config'
import { engineTrapped, loadEngine, onEnginePanic, type Session } from './engine-module'
import type { EngineSource } from './engine-source'
import { report } from './error'
import { pushBody, type TableKeys, Values } from './host'
import type { SyncStatus } from './status'
import type { CallMethod, CapturedHint } from './tabs'

type LogLevel = Parameters<Logger>[0]

/** Panics after which the engine is not started again. */
const STRIKES = 3

/** What the engine begins with. */
export interface LeaderStart {
  readonly database: string
  readonly tables: ReadonlyMap<string, TableKeys>
  readonly options: CloudSyncOptions
  readonly wasm: EngineSource
  readonly state: () => { user: string | null; enabled: boolean | undefined; visible: boolean }
}

/** What comes from the engine. */
export interface LeaderEvents {
  status(status: Partial<SyncStatus>): void
  resolved(call: number, ok: boolean): void
  log(level: LogLevel, message: string): void
  /** Another tab has raised the fence. */
  fenced(): void
}

/** The engine of one database in the tab that leads. */
export class Leader {
  readonly #start: LeaderStart
  readonly #events: LeaderEvents
  readonly #forgetPanics: () => void
  readonly #calls = new Map<number, CallMethod>()
  #session: Session | undefined
  #nextCall = 1
  #strikes = 0
  /** There is no engine, and none is on its way. */
  #failed = false
  #stopped = false

  constructor(start: LeaderStart, events: LeaderEvents) {
    this.#start = start
    this.#events = events
    this.#forgetPanics = onEnginePanic(() => this.#panicked())
  }

  /** Loads the module and starts the engine; on failure says so in the status. */
  async run(): Promise<void> {
    this.#failed = false
    try {
      const Engine = await loadEngine(this.#start.wasm)
      if (!this.#stopped && this.#session === undefined) {
        this.#begin(Engine)
      }
    } catch (error) {
      this.#unavailable(error)
    }
  }

  /** Starts the engine if it could not be loaded before. */
  retry(): void {
    if (this.#session === undefined && !this.#stopped && this.#strikes < STRIKES) {
      void this.run()
    }
  }

  /** Does something with the engine, if it runs. */
  tell(action: (session: Session) => void): void {
    if (this.#session === undefined) {
      return
    }
    try {
      action(this.#session)
    } catch (error) {
      // Out of memory or stack: no panic, and the instance is as dead as after one (F26).
      report(error)
      engineTrapped()
    }
  }

  captured(hints: readonly CapturedHint[]): void {
    for (const { table, user, lids, trigger } of hints) {
      this.tell((session) => session.captured(table, user, lids, trigger))
    }
  }

  /** Asks for something that is answered by `resolved`; gives its number. */
  call(method: CallMethod): number {
    const call = this.#nextCall
    this.#nextCall += 1
    this.#calls.set(call, method)
    if (this.#failed) {
      queueMicrotask(() => this.#resolve(call, false))
    } else {
      this.tell((session) => ask(session, call, method))
    }
    return call
  }

  /**
   * Ends the engine and closes its connection before it returns. Its calls stay unanswered: whoever
   * leads next is asked again.
   */
  stop(): void {
    this.#stopped = true
    this.#forgetPanics()
    this.tell((session) => session.stop())
    this.#session = undefined
    this.#calls.clear()
  }

  #begin(Engine: typeof Session): void {
    const { database, options, state } = this.#start
    const url = new URL(options.url, globalThis.location?.href).href
    const session = new Engine(database, url, engineConfig(options), this.#host())
    this.#session = session
    const { user, enabled, visible } = state()
    session.start(navigator.onLine, visible, user ?? undefined, enabled)
    for (const [call, method] of this.#calls) {
      ask(session, call, method)
    }
  }

  #host(): object {
    const { options, tables } = this.#start
    const events = this.#events
    const values = new Values(tables)
    const compress = compresses(options)
    return {
      token: async (reason: 'request' | 'expired', userId: string) =>
        options.getToken({ reason, userId }),
      // What throws here would end the engine's turn in its middle: it is the app's, and stays here.
      log: guarded((level: LogLevel, message: string) => events.log(level, message)),
      status: guarded((json: string) => this.#told(JSON.parse(json) as Partial<SyncStatus>)),
      resolve: guarded((call: number, ok: boolean) => this.#resolve(call, ok)),
      closed: guarded(() => this.#fenced()),
      walk: values.walk.bind(values),
      scan: values.scan.bind(values),
      key: values.key.bind(values),
      references: values.references.bind(values),
      supply: values.supply.bind(values),
      prepare: values.prepare.bind(values),
      splice: values.splice.bind(values),
      body: (envelope: string, texts: string[], first: number, last: number) =>
        pushBody(envelope, texts.slice(first, last), compress),
    }
  }

  #told(status: Partial<SyncStatus>): void {
    if (!this.#stopped) {
      this.#events.status(status)
    }
  }

  #resolve(call: number, ok: boolean): void {
    if (this.#calls.delete(call) && !this.#stopped) {
      this.#events.resolved(call, ok)
    }
  }

  #failCalls(): void {
    for (const call of [...this.#calls.keys()]) {
      this.#resolve(call, false)
    }
  }

  #fenced(): void {
    if (!this.#stopped) {
      this.#events.fenced()
    }
  }

  #panicked(): void {
    this.#session = undefined
    this.#strikes += 1
    this.#failCalls()
    this.#events.log('error', `Tidesync: the engine failed (${this.#strikes}/${STRIKES})`)
    if (this.#strikes < STRIKES) {
      void this.run()
    } else {
      this.#failed = true
      this.#events.status({
        phase: 'engine-failed',
        lastError: {
          code: 'engine-failed',
          message: 'The engine failed; reload the page.',
          at: Date.now(),
        },
      })
    }
  }

  #unavailable(error: unknown): void {
    if (this.#stopped) {
      return
    }
    const message = `The engine could not be loaded: ${error instanceof Error ? error.message : 'unknown'}`
    this.#events.log('error', `Tidesync: ${message}`)
    this.#failed = true
    this.#failCalls()
    this.#events.status({
      phase: 'engine-failed',
      lastError: { code: 'engine-unavailable', message, at: Date.now() },
    })
  }
}

function guarded<Args extends unknown[]>(call: (...args: Args) => void): (...args: Args) => void {
  return (...args) => {
    try {
      call(...args)
    } catch (error) {
      report(error)
    }
  }
}

function ask(session: Session, call: number, method: CallMethod): void {
  if (method === 'backup') {
    session.backup(call)
  } else {
    session.forceSync(call)
  }
}
