// The host of the shell's tests: as small as the shell's contract allows.

/** A host that keeps values by slot and tells what it hears. */
export function makeHost(token) {
  const values = []
  const waiting = []
  const told = { statuses: [], resolved: [], closed: 0 }
  const tell = () => {
    for (const check of [...waiting]) check()
  }
  return {
    told,
    token: async () => token,
    log: () => undefined,
    status: (json) => {
      told.statuses.push(JSON.parse(json))
      tell()
    },
    resolve: (call, ok) => {
      told.resolved.push([call, ok])
      tell()
    },
    closed: () => {
      told.closed += 1
      tell()
    },
    walk: (_table, rows) => {
      const firstSlot = values.length
      for (const row of rows) values.push(row.json)
      return {
        rows: Float64Array.from(rows, (row) => row.row),
        at: Float64Array.from(rows, (row) => row.at),
        users: rows.map((row) => `u${row.user}`).join('\0'),
        counts: Uint32Array.from(rows, () => 1),
        kinds: new Uint8Array(rows.length),
        lids: rows.map((row) => `s${row.ops[1]}`).join('\0'),
        numbers: Uint32Array.from(rows, (row) => row.json.length),
        firstSlot,
      }
    },
    scan: () => ({ lids: '', numbers: new Uint32Array(), firstSlot: 0 }),
    key: (text) => text.slice(1),
    references: () => [],
    supply: () => undefined,
    prepare: (slots) => {
      let end = 0
      const ends = Float64Array.from(slots, (slot) => {
        end += values[slot].length
        return end
      })
      const text = Array.from(slots, (slot) => values[slot]).join('')
      return { bytes: new TextEncoder().encode(text), ends, refusals: '' }
    },
    splice: (heads, slots) =>
      heads.split('\0').map((head, index) => `${head}${values[slots[index]]}}`),
    body: async (envelope, texts, first, last) => ({
      body: `${envelope}${texts.slice(first, last).join(',')}]}`,
    }),
    /** Resolves when `condition` holds for what was told. */
    until: (condition) =>
      new Promise((resolve) => {
        const check = () => {
          if (condition(told)) resolve(undefined)
        }
        waiting.push(check)
        check()
      }),
  }
}

/** Resolves when the engine waits for somebody to sign in. */
export const untilNeedsAuth = (host) =>
  host.until(({ statuses }) => statuses.at(-1)?.phase === 'needs-auth')

/** Resolves when the database is read. */
export const untilInitialized = (host) =>
  host.until(({ statuses }) => statuses.at(-1)?.isInitialized === true)

/** Resolves when the engine has stopped. */
export const untilClosed = (host) => host.until(({ closed }) => closed > 0)

/** Resolves to the outcome of the first call. */
export const firstOutcome = async (host) => {
  await host.until(({ resolved }) => resolved.length > 0)
  return host.told.resolved[0][1]
}

/** The message of the last error in the status. */
export const lastErrorCode = (host) => host.told.statuses.at(-1)?.lastError?.code
