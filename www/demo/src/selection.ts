import { useEffect, useState } from 'react'

/** The note that is open; `isFresh`: it was just made, and its title is the first thing to write. */
export interface Selection {
  /** Empty while nothing was chosen. */
  readonly id: string
  readonly isFresh?: boolean
}

/** What is open in this tab; a reload opens the same again. */
export function useSelection(database: IDBDatabase) {
  const key = `selection:${database.name}`
  const [selection, select] = useState<Selection>(() => ({ id: sessionStorage.getItem(key) ?? '' }))
  useEffect(() => sessionStorage.setItem(key, selection.id), [key, selection])
  return [selection, select] as const
}
