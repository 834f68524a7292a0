/** The engine as this tab runs it while it leads: loaded, fed, and replaced when it panics. */

import { type CloudSyncOptions, engineConfig, type Logger } from './config'
import { engineTrapped, loadEngine, onEnginePanic, type Session } from './engine-module'
import type { EngineSource } from './engine-source'
import { report } from './error'
import type { ToldState } from './record-sync'
import type { Input, RecordName } from './shell/interface'
import { Shell } from './shell/shell'
import type { SyncStatus } from './status'
import type { CallRequest, CapturedHint } from './tabs'

type LogLevel = Parameters<Logger>[0]

/** Panics after which the engine is not started again. */
const STRIKES = 3

/** What the engine begins with. */
export interface LeaderStart {
  readonly database: string
  readonly options: CloudSyncOptions
  readonly wasm: EngineSource
  readonly state: () => { user: string | null; enabled: boolean | undefined; visible: boolean }
}

/** What comes from the engine. */
export interface LeaderEvents {
  status(status: Partial<SyncStatus>): void
  /** The engine has answered a call, by the name that it was given. */
  answered(id: string, ok: boolean): void
  /** The engine has done something: what {@link Leader.recordStates} gives may have changed. */
  turned(): void
  log(level: LogLevel, message: string): void
  /** Another tab has raised the fence. */
  fenced(): void
}

/** The engine of one database in the tab that leads. */
export class Leader {
  readonly #start: LeaderStart
  readonly #events: LeaderEvents
  readonly #forgetPanics: () => void
  /** The calls of all tabs that are not answered, by the engine's numbers for them. */
  readonly #calls = new Map<number, readonly [id: string, request: CallRequest]>()
  #shell: Shell | undefined
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
      if (!this.#stopped && this.#shell === undefined) {
        this.#begin(Engine)
      }
    } catch (error) {
      this.#unavailable(error)
    }
  }

  /** Starts the engine if it could not be loaded before. */
  retry(): void {
    if (this.#shell === undefined && !this.#stopped && this.#strikes < STRIKES) {
      void this.run()
    }
  }

  /** Tells the engine what happens, if it runs. */
  tell(input: Input): void {
    this.#shell?.handle(input)
  }

  captured(hints: readonly CapturedHint[]): void {
    for (const hint of hints) {
      this.tell({ type: 'captured', ...hint })
    }
  }

  /** Asks for something that is answered by `answered`; once, however often it is brought here. */
  call(id: string, request: CallRequest): void {
    if ([...this.#calls.values()].some(([known]) => known === id)) {
      return
    }
    const call = this.#nextCall
    this.#nextCall += 1
    this.#calls.set(call, [id, request])
    if (this.#failed) {
      this.#resolve(call, false)
    } else {
      this.#ask(call, request)
    }
  }

  #ask(call: number, { blobs, ...request }: CallRequest): void {
    if (blobs !== undefined) {
      this.#shell?.keepChosen(blobs)
    }
    this.tell({ ...request, call })
  }

  /** How far records are on their way; undefined where the engine does not know. */
  recordStates(names: readonly RecordName[]): readonly ToldState['state'][] {
    return this.#shell?.recordStates(names) ?? names.map(() => undefined)
  }

  /**
   * Ends the engine and closes its connection before it returns. Its calls stay unanswered: whoever
   * leads next is asked again.
   */
  stop(): void {
    this.#stopped = true
    this.#forgetPanics()
    this.#shell?.stop()
    this.#shell = undefined
    this.#calls.clear()
  }

  #begin(Engine: typeof Session): void {
    const { database, options, state } = this.#start
    const engine = new Engine(engineConfig(options))
    const shell = new Shell(
      { engine, database, options },
      {
        status: (status) => this.#told(status),
        resolved: (call, ok) => this.#resolve(call, ok),
        turned: () => this.#turned(),
        log: (level, message) => this.#events.log(level, message),
        closed: () => this.#fenced(),
        trapped: (error) => {
          // Out of memory or stack: no panic, and the instance is as dead as after one (F26).
          report(error)
          engineTrapped()
        },
      },
    )
    this.#shell = shell
    const { user, enabled, visible } = state()
    shell.handle({
      type: 'start',
      online: navigator.onLine,
      visible,
      user,
      enabled: enabled ?? null,
    })
    for (const [call, [, request]] of this.#calls) {
      this.#ask(call, request)
    }
  }

  #told(status: Partial<SyncStatus>): void {
    if (!this.#stopped) {
      this.#events.status(status)
    }
  }

  #turned(): void {
    if (!this.#stopped) {
      this.#events.turned()
    }
  }

  #resolve(call: number, ok: boolean): void {
    const [id] = this.#calls.get(call) ?? []
    this.#calls.delete(call)
    if (id !== undefined && !this.#stopped) {
      this.#events.answered(id, ok)
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
    this.#shell?.abandon()
    this.#shell = undefined
    this.#strikes += 1
    this.#failCalls()
    this.#turned()
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
