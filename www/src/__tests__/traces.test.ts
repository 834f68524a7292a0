import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { decodeKey, encodeKey } from '../key'
import { decodeValue } from '../values/decode'
import { isEffect, isInput } from './forms'
import { opHash } from './hashes'

/** The runs of the engine that Rust replays: here they are held against what TypeScript knows of the forms. */
const TRACES = join(__dirname, '../../../crates/engine/traces')

interface Text {
  is: 'spliced' | 'whole' | 'kept'
  head: string
  slot: number
  text: string
  batch: number
  index: number
}

interface Write {
  type: string
  batch: number
  texts: Text[]
}

interface Effect {
  type: string
  writes: Write[]
  slots: number[]
  batch: number
  first: number
  last: number
  envelope: string
  subject: string
  message: string
}

interface Input {
  type: string
  outcome: { Ok?: { bytes: string; values: { is: string; end: number }[] } }
}

interface Op {
  op: string
  space: string
  table: string
  rid: string
  kind: 'put' | 'delete'
  base: number
  hlc: string
  hash: string
  value?: unknown
}

/** What a trace stages and sends, with the texts put together as the shell does. */
class Replay {
  readonly ops: string[] = []
  readonly bodies: { body: string; subject: string }[] = []
  readonly lines: string[] = []
  #slots: number[] = []
  readonly #values = new Map<number, string>()
  readonly #staged = new Map<number, string[]>()

  input({ type, outcome }: Input): void {
    if (type !== 'prepared' || outcome.Ok === undefined) return
    const bytes = Buffer.from(outcome.Ok.bytes, 'hex')
    let start = 0
    outcome.Ok.values.forEach((value, index) => {
      if (value.is !== 'wire') return
      this.#values.set(this.#slots[index] ?? -1, bytes.subarray(start, value.end).toString('utf8'))
      start = value.end
    })
  }

  effect(effect: Effect): void {
    if (effect.type === 'prepare') this.#slots = effect.slots
    else if (effect.type === 'log') this.lines.push(effect.message)
    else if (effect.type === 'commit') for (const write of effect.writes) this.#write(write)
    else if (effect.type === 'push') {
      const texts = this.#staged.get(effect.batch)
      // A batch that was staged before the recording began is not in it.
      if (texts === undefined) return
      const sent = texts.slice(effect.first, effect.last)
      this.bodies.push({ body: `${effect.envelope}${sent.join(',')}]}`, subject: effect.subject })
    }
  }

  #write({ type, batch, texts }: Write): void {
    if (type !== 'putStaged') return
    const whole = texts.map((text) => this.#text(text))
    this.#staged.set(batch, whole)
    this.ops.push(...whole)
  }

  #text({ is, head, slot, text, batch, index }: Text): string {
    if (is === 'whole') return text
    if (is === 'kept') return this.#staged.get(batch)?.[index] ?? ''
    return `${head}${this.#values.get(slot)}}`
  }
}

function stepsOf(name: string): { input: Input; effects: Effect[] }[] {
  const trace = JSON.parse(readFileSync(join(TRACES, name), 'utf8')) as {
    steps: { input: Input; effects: Effect[] }[]
  }
  return trace.steps
}

function replay(name: string): Replay {
  const run = new Replay()
  for (const { input, effects } of stepsOf(name)) {
    run.input(input)
    for (const effect of effects) run.effect(effect)
  }
  return run
}

/** The value's text as it stands in an operation: what is hashed. */
function valueText(op: string): string | undefined {
  const at = op.indexOf(',"value":')
  return at < 0 ? undefined : op.slice(at + ',"value":'.length, -1)
}

const LINES = [
  /^Auto-sync service: Event listeners set up$/,
  /^Auto-sync service: Syncing \d+ changes to cloud\.\.\.$/,
  /^Auto-sync service: Sync completed successfully$/,
  /^Auto-sync service: Sync failed \(\d+\/\d+\): .+$/,
  /^Change held \(table .+\): [\w-]+$/,
  /^(storage is full|the database connection is closed|storage failed: \w+)$/,
]

const names = readdirSync(TRACES).filter((name) => name.endsWith('.json'))

describe.each(names)('the trace %s', (name) => {
  const run = replay(name)

  it('has inputs and effects of the forms that TypeScript knows', () => {
    for (const { input, effects } of stepsOf(name)) {
      expect(isInput(input), JSON.stringify(input)).toBe(true)
      for (const effect of effects) expect(isEffect(effect), JSON.stringify(effect)).toBe(true)
    }
  })

  it('stages operations that say what they are, under the hash of their content', () => {
    for (const text of run.ops) {
      const op = JSON.parse(text) as Op
      expect(op.space).toBe('~')
      expect(op.op).toMatch(/^[\w-]{12}\.\d+$/)
      expect(op.hlc).toMatch(/^[0-9a-f]{16}$/)
      if (!/^r[\w-]{22}$/.test(op.rid)) expect(encodeKey(decodeKey(op.rid))).toBe(op.rid)
      const value = valueText(text)
      expect(value === undefined).toBe(op.kind === 'delete')
      const hashed = { table: op.table, rid: op.rid, base: op.base }
      expect(opHash(value === undefined ? hashed : { ...hashed, value })).toBe(op.hash)
      if (value !== undefined) expect(() => decodeValue(value)).not.toThrow()
    }
  })

  it('sends whole requests that name their operations and their user', () => {
    for (const { body, subject } of run.bodies) {
      const push = JSON.parse(body) as {
        protocol: number
        subject: string
        batch: string
        ops: Op[]
      }
      expect(push.protocol).toBe(1)
      expect(push.subject).toBe(subject)
      expect(push.batch).toBe(`${push.ops.at(0)?.op}-${push.ops.at(-1)?.op}`)
    }
  })

  it('logs the documented lines and no others', () => {
    for (const line of run.lines) {
      expect(LINES.filter((form) => form.test(line))).toHaveLength(1)
    }
  })
})

it('other forms are none', () => {
  expect(isInput({ type: 'online', online: true })).toBe(true)
  expect(isInput({ type: 'online', online: 1 })).toBe(false)
  expect(isInput({ type: 'online', online: true, more: 1 })).toBe(false)
  expect(isInput({ type: 'other' })).toBe(false)
  expect(isEffect({ type: 'load' })).toBe(false)
})

it('the traces have operations, requests and lines', () => {
  const runs = names.map(replay)
  expect(runs.flatMap(({ ops }) => ops).length).toBeGreaterThan(10)
  expect(runs.flatMap(({ bodies }) => bodies).length).toBeGreaterThan(10)
  expect(runs.flatMap(({ lines }) => lines).length).toBeGreaterThan(10)
})
