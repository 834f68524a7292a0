import type { Note } from './database'

export function newNote(title = 'New note', text = '', createdAt = new Date()): Note {
  return { id: crypto.randomUUID(), title, text, createdAt }
}

/** Many notes at once, as an import would make them; the first is the newest. */
export function newNotes(count: number): Note[] {
  const now = Date.now()
  return Array.from({ length: count }, (_, index) => {
    const createdAt = new Date(now - index)
    return newNote(`Imported note ${index + 1}`, `The text of note ${index + 1}.\n`, createdAt)
  })
}

/** What a new user finds. */
export function firstNotes(): Note[] {
  const now = Date.now()
  return FIRST.map(([title, text], index) => newNote(title, text, new Date(now - index)))
}

const FIRST: readonly (readonly [title: string, text: string])[] = [
  [
    'Read me first',
    `Type here and watch the other device.

Each keystroke is a put() into this device's IndexedDB, and nothing else.`,
  ],
  ['Shopping', 'Bread\nPears\nCoffee\n'],
  ['Garden', 'Peas in March, beans in May.\n'],
]
