/** The WebAssembly module: loaded once, when a tab first leads, and replaced after a panic. */

import init, { __wbg_reset_state, onPanic, Session } from '../pkg/tidesync.js'
import type { EngineSource } from './engine-source'

export type { Session }

let loading: Promise<void> | undefined
let failed = false
const panicked = new Set<() => void>()

/** Gives the class of engine sessions. A failed load is forgotten, so that it can be tried again. */
export async function loadEngine(source: EngineSource): Promise<typeof Session> {
  loading ??= load(source)
  try {
    await loading
  } catch (error) {
    loading = undefined
    throw error
  }
  if (failed) {
    // A panic poisons the whole instance: all memory of it is dropped, the compiled code stays.
    __wbg_reset_state()
    onPanic(instancePanicked)
    failed = false
  }
  return Session
}

/** Calls `listener` when the instance has panicked; every session of it is dead then. */
export function onEnginePanic(listener: () => void): () => void {
  panicked.add(listener)
  return () => panicked.delete(listener)
}

async function load(source: EngineSource): Promise<void> {
  const url = source() ?? new URL('../pkg/tidesync_bg.wasm', import.meta.url)
  await init({ module_or_path: url })
  onPanic(instancePanicked)
}

/** Says that a call into the instance has thrown: nothing in it can be trusted from then on. */
export function engineTrapped(): void {
  instancePanicked()
}

function instancePanicked(): void {
  // A panic is told by its hook, and again by the call that it has ended.
  if (failed) return
  failed = true
  for (const listener of [...panicked]) {
    // The panicking call is still on the stack: the instance is replaced after it.
    queueMicrotask(listener)
  }
}
