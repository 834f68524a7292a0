/**
 * The browser shell: drives the engine with what happens in the page and does what the engine asks
 * for. It decides nothing.
 */

import { type CloudSyncOptions, compresses } from '../config'
import { report } from '../error'
import { tellRemoteChanges } from '../events'
import type { ToldState } from '../record-sync'
import type { SyncStatus } from '../status'
import { Beside, inputJson } from './beside'
import type { BlobMap } from './blob-lane'
import { Blobs } from './blobs'
import { Connection } from './connection'
import type {
  Answer,
  Commit,
  Effect,
  Input,
  LogLevel,
  OpenStream,
  Pull,
  Push,
  RecordName,
  Turn,
} from './interface'
import { Reader } from './reader'
import { PulledChanges } from './records'
import { reserve } from './reserve'
import { askResolver } from './resolver'
import { Slots } from './slots'
import { outcomeOf } from './storage'
import { Stores } from './stores'
import { PokeStream } from './stream'
import { Transport } from './transport'

/** The engine, as WebAssembly gives it (`src/session.rs`). */
export interface Engine {
  handle(monotonicMs: number, wallMs: number, input: string, bytes: Uint8Array): string
  takeBytes(): Uint8Array
  recordStates(names: string): string
  /** Lets go of its memory; nothing is called any more. */
  free(): void
}

/** What a shell begins with. */
export interface ShellStart {
  readonly engine: Engine
  readonly database: string
  readonly options: CloudSyncOptions
}

/** What comes out of a shell. */
export interface ShellEvents {
  status(status: Partial<SyncStatus>): void
  resolved(call: number, ok: boolean): void
  /** The engine has done something: what {@link Shell.recordStates} gives may have changed. */
  turned(): void
  log(level: LogLevel, message: string): void
  /** The engine has stopped: another tab leads. */
  closed(): void
  /** A call into WebAssembly has thrown: nothing in it can be trusted from then on. */
  trapped(error: unknown): void
}

/** What takes time and has one answer. */
type Work = Exclude<
  Effect,
  { type: 'log' | 'resolve' | 'abortRequest' | 'closeStream' | 'closed' | 'openStream' }
>

/** An input and the bytes that cross beside it. */
type Told = readonly [input: Input, bytes: Uint8Array]

const NO_BYTES: Uint8Array = new Uint8Array()

/** The longest wait that `setTimeout` knows. */
const TIMER_MS_MAX = 2 ** 31 - 1

/** The engine of one database and everything it is connected to. */
export class Shell {
  readonly #engine: Engine
  readonly #database: string
  readonly #options: CloudSyncOptions
  readonly #events: ShellEvents
  readonly #connection: Connection
  readonly #slots: Slots
  readonly #stores: Stores
  readonly #reader: Reader
  readonly #transport: Transport
  readonly #stream: PokeStream
  readonly #blobs = new Blobs()
  readonly #pulled: PulledChanges
  readonly #inputs: Told[] = []
  #running = false
  #stopped = false
  /** The engine is gone: it is called no more. */
  #abandoned = false
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Whose changes were last sent or asked for. */
  #subject: string | undefined

  constructor({ engine, database, options }: ShellStart, events: ShellEvents) {
    const { href } = new URL(options.url, globalThis.location?.href)
    const server = { url: href.replace(/\/+$/, ''), getToken: options.getToken }
    this.#engine = engine
    this.#database = database
    this.#options = options
    this.#events = events
    this.#connection = new Connection(database)
    this.#slots = new Slots(
      (table) => this.#connection.stores.get(table),
      (table) => this.#nameless(table),
    )
    this.#stores = new Stores(this.#connection, this.#blobs)
    this.#reader = new Reader(this.#connection, this.#slots, this.#blobs)
    this.#pulled = new PulledChanges(this.#blobs, options.tables)
    this.#transport = new Transport(server, compresses(options))
    this.#stream = new PokeStream(server)
  }

  /**
   * Hands an input to the engine and does what it asks for. An input that comes while that is being
   * done (a listener of the app may call back) waits for its turn.
   */
  handle(input: Input, bytes: Uint8Array = NO_BYTES): void {
    this.#inputs.push([input, bytes])
    if (this.#running) return
    this.#running = true
    const status = this.#drain()
    this.#running = false
    this.#guard(() => this.#events.turned())
    if (status !== undefined) this.#guard(() => this.#events.status(status))
    if (this.#stopped && !this.#abandoned) {
      this.#abandoned = true
      this.#engine.free()
    }
  }

  /** Keeps the Blobs of a value that is chosen next; the engine knows them by name only. */
  keepChosen(blobs: BlobMap): void {
    this.#blobs.keep('chosen', blobs)
  }

  /** How far records are on their way; undefined where the engine does not know. */
  recordStates(names: readonly RecordName[]): readonly ToldState['state'][] {
    const unknown = names.map(() => undefined)
    if (this.#abandoned || names.length === 0) return unknown
    const texts = names.flatMap(({ table, lid }) => [table, lid])
    const words = this.#call(() => this.#engine.recordStates(inputJson(texts)))?.split(',')
    return words?.map((word) => (word === '' ? undefined : (word as ToldState['state']))) ?? unknown
  }

  /** This tab no longer leads, or its database is closing: the connection is closed before it returns. */
  stop(): void {
    this.#connection.close()
    this.#stopped = true
    this.handle({ type: 'stop' })
    this.#release()
  }

  /** The engine is dead: lets go of everything without asking it. */
  abandon(): void {
    this.#abandoned = true
    this.#inputs.length = 0
    this.#release()
  }

  #release(): void {
    this.#connection.close()
    this.#transport.abort()
    this.#stream.close()
    clearTimeout(this.#timer)
  }

  /** Hands over all that waits, and gives the status as it is then, if it is a new one. */
  #drain(): Partial<SyncStatus> | undefined {
    let status: Partial<SyncStatus> | undefined
    for (let told = this.#inputs.shift(); told !== undefined; told = this.#inputs.shift()) {
      const done = this.#turn(told)
      if (done === undefined) return undefined
      const [turn, bytes] = done
      status = turn.status ?? status
      this.#arm(turn.timeout)
      for (const effect of turn.effects) this.#perform(effect, bytes)
    }
    return status
  }

  #turn([input, beside]: Told): [Turn<Partial<SyncStatus>>, Uint8Array] | undefined {
    return this.#call(() => {
      const json = this.#engine.handle(performance.now(), Date.now(), inputJson(input), beside)
      const turn: Turn<Partial<SyncStatus>> = JSON.parse(json)
      return [turn, turn.bytes > 0 ? this.#engine.takeBytes() : NO_BYTES]
    })
  }

  /** Undefined where the engine is dead, or dies of it. */
  #call<T>(engine: () => T): T | undefined {
    if (this.#abandoned) return undefined
    try {
      return engine()
    } catch (error) {
      this.abandon()
      this.#events.trapped(error)
      return undefined
    }
  }

  #arm(at: number | null): void {
    clearTimeout(this.#timer)
    if (at === null) return
    const wait = Math.max(at - Math.floor(performance.now()), 1)
    this.#timer = setTimeout(() => this.handle({ type: 'timeout' }), Math.min(wait, TIMER_MS_MAX))
  }

  /** What throws in a listener would end the engine's turn in its middle: it is the app's, and stays here. */
  #guard(tell: () => void): void {
    try {
      tell()
    } catch (error) {
      report(error)
    }
  }

  #nameless(table: string): void {
    const message = `Record left out (table ${table}): bad-key`
    this.#guard(() => this.#events.log('error', message))
  }

  #perform(effect: Effect, bytes: Uint8Array): void {
    switch (effect.type) {
      case 'log':
        this.#guard(() => this.#events.log(effect.level, effect.message))
        break
      case 'resolve':
        this.#guard(() => this.#events.resolved(effect.call, effect.ok))
        break
      case 'abortRequest':
        this.#transport.abort()
        break
      case 'closeStream':
        this.#stream.close()
        break
      case 'closed':
        this.#release()
        this.#guard(() => this.#events.closed())
        break
      case 'openStream':
        void this.#openStream(effect)
        break
      default:
        void this.#answer(effect, bytes)
    }
  }

  /** Does what takes time and hands the answer to the engine. */
  async #answer(effect: Work, bytes: Uint8Array): Promise<void> {
    const beside = new Beside()
    const answer = await this.#carryOut(effect, bytes, beside)
    this.handle(answer, beside.join())
  }

  async #carryOut(effect: Work, bytes: Uint8Array, beside: Beside): Promise<Answer> {
    const { task } = effect
    switch (effect.type) {
      case 'load':
        return { type: 'loaded', task, outcome: await outcomeOf(this.#stores.load(beside)) }
      case 'readLog':
        return { type: 'logRead', task, outcome: await outcomeOf(this.#reader.readLog(effect)) }
      case 'scan':
        return { type: 'scanned', task, outcome: await outcomeOf(this.#reader.scan(effect)) }
      case 'prepare': {
        const outcome = await outcomeOf(this.#reader.prepare(effect, beside))
        return { type: 'prepared', task, outcome }
      }
      case 'commit':
        return { type: 'committed', task, outcome: await outcomeOf(this.#commit(effect, bytes)) }
      case 'reserve': {
        const outcome = await outcomeOf(reserve(this.#connection, effect))
        return { type: 'reserved', task, outcome }
      }
      case 'push': {
        return { type: 'pushed', task, outcome: await this.#push(effect) }
      }
      case 'pull':
        return { type: 'pulled', task, outcome: await this.#pull(effect) }
      case 'askResolver': {
        const keys = this.#connection.stores.get(effect.conflict.table)
        const { tables } = this.#options
        const outcome = await askResolver(effect, tables, keys, this.#slots, this.#blobs)
        return { type: 'resolverAnswered', task, outcome }
      }
    }
  }

  async #commit(commit: Commit, bytes: Uint8Array): Promise<null> {
    const changes = await this.#stores.commit(commit, bytes, this.#slots, this.#pulled)
    if (changes.length > 0) tellRemoteChanges(this.#database, changes, this.#subject)
    return null
  }

  /** What one user's space has of Blobs, another's need not have. */
  #speakFor(subject: string): void {
    if (this.#subject !== subject) this.#blobs.forgetUploads()
    this.#subject = subject
  }

  #pull(pull: Pull): ReturnType<Transport['pull']> {
    this.#speakFor(pull.subject)
    return this.#transport.pull(pull, (body, request) =>
      this.#blobs.fetch('pulled', this.#pulled.keep(body), request),
    )
  }

  #push(push: Push): ReturnType<Transport['push']> {
    this.#speakFor(push.subject)
    return this.#transport.push(push, this.#stores.texts(push.batch), this.#blobs)
  }

  async #openStream(stream: OpenStream): Promise<void> {
    const outcome = await this.#stream.open(stream, () => this.handle({ type: 'poked' }))
    if (outcome !== undefined) {
      this.handle({ type: 'streamEnded', task: stream.task, outcome })
    }
  }
}
