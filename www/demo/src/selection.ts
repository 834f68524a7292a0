import { useEffect, useState } from 'react'

/**
 * What is open. `fresh` is the record that was just made: its name is the first thing to write.
 * `chosen`: the user opened the file, so that it must be in sight.
 */
export interface Selection {
  readonly workspaceId: string
  readonly fileId: string
  readonly fresh?: string
  readonly chosen?: boolean
}

const WELCOME: Selection = { workspaceId: 'welcome', fileId: 'welcome' }

/** What is open in this tab; a reload opens the same again. */
export function useSelection(database: IDBDatabase) {
  const key = `selection:${database.name}`
  const [selection, select] = useState(() => restored(key))
  useEffect(() => {
    const { workspaceId, fileId } = selection
    sessionStorage.setItem(key, JSON.stringify([workspaceId, fileId]))
  }, [key, selection])
  return [selection, select] as const
}

function restored(key: string): Selection {
  const text = sessionStorage.getItem(key)
  if (text === null) {
    return WELCOME
  }
  const [workspaceId, fileId] = JSON.parse(text) as [string, string]
  return { workspaceId, fileId }
}
