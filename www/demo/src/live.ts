import { useEffect, useState } from 'react'
import { storageEventManager } from 'tidesync'
import { reportProblem } from './problem'

/**
 * What `read` gives, read again after every change of the database, in this tab or another.
 * Undefined until it is known. `read` must be the same function as long as it reads the same.
 */
export function useLive<T>(read: () => Promise<T>): T | undefined {
  const [value, setValue] = useState<T>()
  useEffect(() => {
    let used = true
    const refresh = oneAtATime(async () => {
      const next = await read()
      if (used) {
        setValue(next)
      }
    })
    refresh()
    const forget = storageEventManager.onAny(refresh)
    return () => {
      used = false
      forget()
    }
  }, [read])
  return value
}

/** Calls that come while `task` runs make it run once more, not once for each. */
function oneAtATime(task: () => Promise<void>): () => void {
  let running = false
  let again = false
  const run = async () => {
    running = true
    do {
      again = false
      await task()
    } while (again)
    running = false
  }
  return () => {
    if (running) {
      again = true
    } else {
      run().catch(reportProblem)
    }
  }
}
