/** The forms of inputs and effects at run time: each has exactly the members that its type has. */

import type {
  Answer,
  Effect,
  Input,
  LogOp,
  PreparedValue,
  RequestOutcome,
  StorageError,
  Text,
  Write,
} from '../shell/interface'

type Check = (value: unknown) => boolean

/** Those of a union whose member `Tag` is `Name`. */
type Tagged<Union, Tag extends string, Name> =
  Union extends Record<Tag, infer Names> ? (Name extends Names ? Union : never) : never

/** A check for each member of a type. */
type Members<T> = { readonly [Name in keyof T]-?: Check }

/** The members of each form of a union, by its tag. */
type Forms<Union extends Record<Tag, string>, Tag extends string> = {
  readonly [Name in Union[Tag]]: Members<Omit<Tagged<Union, Tag, Name>, Tag>>
}

const text: Check = (value) => typeof value === 'string'
const whole: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0
const flag: Check = (value) => typeof value === 'boolean'
/** Traces have hex digits where bytes stand beside the JSON. */
const bytes: Check = (value) => typeof value === 'string' && /^(?:[0-9a-f]{2})*$/.test(value)
const none: Check = (value) => value === null
const orNull = (check: Check): Check => either(check, none)
const either =
  (one: Check, other: Check): Check =>
  (value) =>
    one(value) || other(value)
const oneOf =
  (...texts: readonly string[]): Check =>
  (value) =>
    texts.some((each) => each === value)
const list =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check)

function members<T>(checks: Members<T>): Check {
  return (value) => {
    if (typeof value !== 'object' || value === null) return false
    const names = Object.keys(checks)
    const own = value as Record<string, unknown>
    return (
      Object.keys(own).length === names.length &&
      names.every((name) => name in own && checks[name as keyof T](own[name]))
    )
  }
}

function tagged<Union extends Record<Tag, string>, Tag extends string>(
  tag: Tag,
  forms: Forms<Union, Tag>,
): Check {
  return (value) => {
    if (typeof value !== 'object' || value === null) return false
    const { [tag]: name, ...rest } = value as Record<string, unknown>
    const form = forms[name as Union[Tag]] as Members<object> | undefined
    return form !== undefined && members(form)(rest)
  }
}

function result(ok: Check, error: Check): Check {
  return either(members({ Ok: ok }), members({ Err: error }))
}

const user = either(oneOf('owner', 'nobody'), members({ user: text }))
const record = { table: text, lid: text }
const tail = members({ table: text, row: whole })
const page = members({ table: text, bucket: whole })

const storageError = tagged<StorageError, 'kind'>('kind', {
  fenced: {},
  full: {},
  closed: {},
  moved: {},
  newer: {},
  other: { name: text },
})

const stored = (ok: Check): Check => result(ok, storageError)

const outcome = tagged<RequestOutcome, 'is'>('is', {
  answer: { status: whole, retryAfter: orNull(text), body: text },
  failed: { failure: oneOf('network', 'timeout', 'no-token', 'token-failed', 'no-batch') },
})

const logOp = tagged<LogOp, 'kind'>('kind', {
  put: { lid: text, slot: whole, bytes: whole, reference: flag },
  delete: { lid: text },
  deleteRange: { lower: orNull(text), upper: orNull(text), lowerOpen: flag, upperOpen: flag },
  clear: {},
})

const row = members({ table: text, row: whole, atMs: whole, user, ops: list(logOp) })
const chunk = members({ rows: list(row), end: flag })

const preparedValue = tagged<PreparedValue, 'is'>('is', {
  wire: { end: whole },
  gone: {},
  unsendable: { code: text, path: text },
})

const answers: Forms<Answer, 'type'> = {
  loaded: {
    task: whole,
    outcome: stored(
      members({
        fence: whole,
        version: whole,
        meta: orNull(text),
        staged: list(members({ batch: whole, state: bytes })),
        held: list(members({ op: text, state: bytes })),
        tables: list(members({ name: text, generatedKeys: flag, pending: flag })),
      }),
    ),
  },
  logRead: { task: whole, outcome: stored(chunk) },
  scanned: {
    task: whole,
    outcome: stored(
      members({
        log: chunk,
        records: list(members({ lid: text, slot: whole, bytes: whole })),
        end: flag,
        total: whole,
        leftOut: whole,
      }),
    ),
  },
  prepared: {
    task: whole,
    outcome: stored(members({ bytes, values: list(preparedValue), pages: list(bytes) })),
  },
  committed: { task: whole, outcome: stored(none) },
  reserved: { task: whole, outcome: stored(whole) },
  pushed: { task: whole, outcome },
  pulled: { task: whole, outcome },
  streamEnded: { task: whole, outcome },
  resolverAnswered: { task: whole, outcome: result(members({ value: orNull(text) }), text) },
}

/** Whether something is an input as a trace has it. */
export const isInput: Check = tagged<Input, 'type'>('type', {
  start: { online: flag, visible: flag, user: orNull(text), enabled: orNull(flag) },
  stop: {},
  timeout: {},
  tokenAvailable: {},
  poked: {},
  captured: { table: text, user, lids: list(text), trigger: flag },
  online: { online: flag },
  visible: { visible: flag },
  userChanged: { user: orNull(text) },
  setEnabled: { enabled: flag },
  forceSync: { call: whole },
  backup: { call: whole },
  restore: { call: whole },
  settleHeld: {
    call: whole,
    op: text,
    choice: either(
      members({ take: oneOf('local', 'remote') }),
      members({ take: oneOf('value'), value: orNull(text) }),
    ),
  },
  ...answers,
})

const operation = tagged<Text, 'is'>('is', {
  spliced: { head: text, slot: whole },
  whole: { text },
  kept: { batch: whole, index: whole },
})

const notice = members({ table: text, lid: text, code: text, message: text, at_ms: whole })

const write = tagged<Write, 'type'>('type', {
  meta: { state: text, owner: orNull(text) },
  putStaged: { batch: whole, state: bytes, texts: list(operation) },
  deleteStaged: { batch: whole },
  putHeld: {
    op: text,
    state: bytes,
    notice,
    user: text,
    base: whole,
    text: orNull(operation),
    remote: orNull(text),
  },
  renewHeld: { op: text, state: bytes, remote: orNull(text), message: orNull(text) },
  deleteHeld: { op: text },
  putPage: { page, whole: flag, bytes },
  consumeLog: { table: text, first: whole, last: whole },
  putRecord: {
    ...record,
    value: either(
      members({ is: oneOf('pulled'), index: whole }),
      members({ is: oneOf('text'), text }),
    ),
  },
  deleteRecord: record,
  appendLog: { ...record, user: text, atMs: whole, delete: flag },
  putHistory: { entry: text },
  signLog: { table: text, user: orNull(text), adopts: flag },
})

const authorized = { subject: text, token: oneOf('request', 'expired') }
const conflict = members({ ...record, base: whole, local: orNull(text), remote: orNull(text) })

/** Whether something is an effect as a trace has it. */
export const isEffect: Check = tagged<Effect, 'type'>('type', {
  load: { task: whole },
  readLog: { task: whole, after: list(tail), bytesMax: whole, opsMax: whole, values: flag },
  scan: { task: whole, table: text, after: orNull(text), recordsMax: whole, bytesMax: whole },
  prepare: { task: whole, slots: list(whole), records: list(members(record)), pages: list(page) },
  commit: { task: whole, fence: whole, tails: list(tail), writes: list(write) },
  reserve: { task: whole, fence: whole, table: text, count: whole },
  push: {
    task: whole,
    batch: whole,
    first: whole,
    last: whole,
    envelope: text,
    timeoutMs: whole,
    ...authorized,
  },
  pull: { task: whole, query: text, timeoutMs: whole, ...authorized },
  openStream: { task: whole, ...authorized },
  askResolver: { task: whole, conflict },
  abortRequest: {},
  closeStream: {},
  closed: {},
  resolve: { call: whole, ok: flag },
  log: { level: oneOf('debug', 'info', 'warn', 'error'), message: text },
})
