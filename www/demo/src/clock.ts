import { useSyncExternalStore } from 'react'

const SECOND_MS = 1_000

/** The wall clock in ms, each second anew while `running`. */
export function useNow(running: boolean): number {
  return useSyncExternalStore(running ? everySecond : never, wholeSecond)
}

/** The last whole second, so that two readings within one second are the same. */
function wholeSecond(): number {
  return Math.floor(Date.now() / SECOND_MS) * SECOND_MS
}

function everySecond(listener: () => void): () => void {
  const timer = setInterval(listener, SECOND_MS / 4)
  return () => clearInterval(timer)
}

function never(): () => void {
  return () => undefined
}
