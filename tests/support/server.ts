import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..')
const DEBUG = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'debug')
const SERVER = join(DEBUG, 'tidesync')
const DATABASE = 'tidesync.db'
const COPY = 'copy.db'
const RECORDS = join(DEBUG, 'examples/records')
const AGE = join(DEBUG, 'examples/age')
const LISTENING = /listening on (http:\/\/\S+)/
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024

const run = promisify(execFile)

/** A record as the server's own database holds it. */
export interface ServerRecord {
  /** `~<user>` for a user's own space. */
  readonly space: string
  readonly table: string
  readonly rid: string
  /** The value's wire form; null when the record is deleted. */
  readonly doc: unknown
  readonly version: number
  readonly deleted: boolean
  readonly client: string
}

/** What the server remembers of an operation: one row however often it came. */
export interface ServerOperation {
  readonly space: string
  readonly client: string
  readonly op: string
  readonly verdict: string
  readonly version: number | null
  readonly code: string | null
}

/** The server's database at one instant. */
export interface ServerState {
  readonly records: readonly ServerRecord[]
  readonly operations: readonly ServerOperation[]
  /** By space, how many changes have ever had an effect: the sequence has no gaps. */
  readonly versions: ReadonlyMap<string, number>
}

/** How a token differs from a good one. */
export interface TokenOptions {
  /** From now on; negative for a token that has ended. Default 3,600. */
  readonly lifetimeSeconds?: number
  /** What it grants besides the user's own space. */
  readonly spaces?: Readonly<Record<string, 'r' | 'rw'>>
}

/** The real server with a database of its own in a temporary folder. */
export class TestServer {
  readonly #folder: string
  readonly #key: string
  readonly #flags: readonly string[]
  #process: ChildProcess | undefined
  #listen = '127.0.0.1:0'
  #url = ''

  private constructor(folder: string, flags: readonly string[]) {
    this.#folder = folder
    this.#flags = flags
    // Tokens outlive a restart, as with a server whose key is configured.
    this.#key = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('hex')
  }

  /** Starts a server on a free port. `flags` are those of `tidesync serve`. */
  static async start(flags: readonly string[]): Promise<TestServer> {
    const server = new TestServer(await mkdtemp(join(tmpdir(), 'tidesync-server-')), flags)
    await server.start()
    return server
  }

  /** `http://127.0.0.1:<port>`: the same after every restart. */
  get url(): string {
    return this.#url
  }

  /** Starts it again at the same port, with the same database. */
  async start(): Promise<void> {
    const child = spawn(
      SERVER,
      ['serve', '--dev', '--listen', this.#listen, '--database', this.#database(), ...this.#flags],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, TIDESYNC_JWT_KEY: this.#key },
      },
    )
    this.#process = child
    this.#url = await listeningUrl(child)
    this.#listen = new URL(this.#url).host
  }

  /** Stops it as an operator would. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** Ends it at once, as a power loss of the process would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Copies its database aside; it must have been stopped. */
  async backUp(): Promise<void> {
    await cp(join(this.#folder, DATABASE), join(this.#folder, COPY))
  }

  /** Puts the copy in the database's place; it must have been stopped. */
  async restoreCopy(): Promise<void> {
    for (const suffix of ['-wal', '-shm']) {
      await rm(join(this.#folder, DATABASE + suffix), { force: true })
    }
    await cp(join(this.#folder, COPY), join(this.#folder, DATABASE))
  }

  /** Makes its database older, as if so many days had passed; it must have been stopped. */
  async age(days: number): Promise<void> {
    await run(AGE, [this.#database(''), String(days)])
  }

  /** Ends it and removes its database. */
  async dispose(): Promise<void> {
    await this.#end('SIGKILL')
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }

  /** Reads its database, whether it runs or not. */
  async state(): Promise<ServerState> {
    const { stdout } = await run(RECORDS, [this.#database('')], { maxBuffer: OUTPUT_BYTES_MAX })
    const records: ServerRecord[] = []
    const operations: ServerOperation[] = []
    const versions = new Map<string, number>()
    for (const text of stdout.split('\n').filter((line) => line !== '')) {
      const line = JSON.parse(text) as { is: string }
      if (line.is === 'record') records.push(line as unknown as ServerRecord)
      else if (line.is === 'operation') operations.push(line as unknown as ServerOperation)
      else {
        const { space, version } = line as unknown as { space: string; version: number }
        versions.set(space, version)
      }
    }
    return { records, operations, versions }
  }

  /** The values of a user's records in one table that are not deleted, by record id. */
  async docs(userId: string, table: string): Promise<Map<string, unknown>> {
    const { records } = await this.state()
    const own = records.filter((it) => it.space === `~${userId}` && it.table === table)
    return new Map(own.filter((it) => !it.deleted).map((it) => [it.rid, it.doc]))
  }

  /** A bearer token that the server takes, unless `options` say otherwise. */
  token(userId: string, options: TokenOptions = {}): string {
    const lifetime = options.lifetimeSeconds ?? 3_600
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const exp = Math.floor(Date.now() / 1_000) + lifetime
    const { spaces } = options
    const claims = { sub: userId, exp, ...(spaces && { spaces }) }
    const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
    return `${signed}.${createHmac('sha256', this.#key).update(signed).digest('base64url')}`
  }

  #database(scheme = 'sqlite:'): string {
    return scheme + join(this.#folder, DATABASE)
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }
}

async function listeningUrl(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the server has no standard output')
  let log = ''
  child.stderr?.on('data', (text) => {
    log += text
  })
  for await (const line of createInterface(child.stdout)) {
    const url = LISTENING.exec(line)?.[1]
    if (url !== undefined) return url
  }
  throw new Error(`the server ended at its start: ${log}`)
}
