/** What the database holds, always as it is now: after changes here, in other tabs and on other devices. */

import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { storageEventManager } from 'tidesync'
import { changeNote, getNote, type Note, type NoteChange } from './database'
import { reportProblem } from './problem'

/**
 * What `read` gives, read again after every change of the database. Undefined until it is known.
 * `read` must be the same function as long as it reads the same.
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

/**
 * One note, and the function that changes it. What is written is shown at once; what is read from
 * the database is shown only when it holds everything that was written before.
 */
export function useNote(database: IDBDatabase, id: string) {
  const [note, setNote] = useState<Note>()
  const writes = useRef({ made: 0, saved: 0 })
  const refresh = useMemo(
    () =>
      oneAtATime(async () => {
        const { made } = writes.current
        const stored = await getNote(database, id)
        const now = writes.current
        if (now.made === made && now.saved === made) {
          setNote(stored)
        }
      }),
    [database, id],
  )
  useEffect(() => {
    refresh()
    return storageEventManager.on('notes', refresh)
  }, [refresh])
  const change = useCallback(
    (written: NoteChange) => {
      writes.current.made += 1
      setNote((shown) => shown && { ...shown, ...written })
      changeNote(database, id, written)
        .catch(reportProblem)
        .finally(() => {
          writes.current.saved += 1
          refresh()
        })
    },
    [database, id, refresh],
  )
  return [note, change] as const
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
