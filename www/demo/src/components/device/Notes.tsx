import { useCallback, useEffect, useRef, useState } from 'react'
import { arrivals } from '../../arrivals'
import { countNotes, deleteNote, listNotes, type Note, saveNotes } from '../../database'
import { useLive } from '../../live'
import { reportProblem } from '../../problem'
import { newNote } from '../../records'
import { useSelection } from '../../selection'
import { useStore } from '../../store'
import { NoteEditor } from './NoteEditor'
import { NoteList } from './NoteList'

const PAGE = 100

/** The app: a list of notes, and one that is open. */
export function Notes({ database }: { database: IDBDatabase }) {
  const [selection, select] = useSelection(database)
  const [limit, setLimit] = useState(PAGE)
  const readNotes = useCallback(() => listNotes(database, limit), [database, limit])
  const readTotal = useCallback(() => countNotes(database), [database])
  const notes = useLive(readNotes) ?? []
  const total = useLive(readTotal) ?? 0
  const newButton = useRef<HTMLButtonElement>(null)

  // The first is opened once; what arrives above it later does not take its place.
  const first = notes[0]?.id
  useEffect(() => {
    if (selection.id === '' && first !== undefined) {
      select({ id: first })
    }
  }, [selection.id, first, select])

  const add = async () => {
    const note = newNote()
    await saveNotes(database, [note])
    select({ id: note.id, isFresh: true })
  }
  const remove = async (id: string) => {
    newButton.current?.focus()
    await deleteNote(database, id)
    select({ id: notes.find((note) => note.id !== id)?.id ?? '' })
  }
  return (
    <section className="notes" aria-label="Notes">
      <NoteList
        notes={notes}
        total={total}
        selected={selection.id}
        newButton={newButton}
        onOpen={(id) => select({ id })}
        onNew={() => add().catch(reportProblem)}
        onMore={() => setLimit(limit + PAGE)}
      />
      <NoteEditor
        key={selection.id}
        database={database}
        id={selection.id}
        isFresh={selection.isFresh === true}
        onDelete={(id) => remove(id).catch(reportProblem)}
      />
      <Arrived notes={notes} />
    </section>
  )
}

/** Tells a screen reader what has come from another device. */
function Arrived({ notes }: { notes: readonly Note[] }) {
  const arrived = useStore(arrivals)
  const titles = notes.filter(({ id }) => arrived.has(id)).map(({ title }) => `“${title}”`)
  return (
    <p role="status" className="visually-hidden">
      {titles.length > 0 && `From another device: ${titles.slice(0, 3).join(', ')}`}
    </p>
  )
}
