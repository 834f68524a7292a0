import { useEffect, useId, useRef } from 'react'
import { arrivals } from '../../arrivals'
import { useNote } from '../../live'
import { useStore } from '../../store'
import { RecordWords } from './RecordDot'

interface NoteEditorProps {
  readonly database: IDBDatabase
  readonly id: string
  /** It was just made: its title is selected, to be written over. */
  readonly isFresh: boolean
  readonly onDelete: (id: string) => void
}

/** One note. Each keystroke is saved: a `put` of the whole note. */
export function NoteEditor({ database, id, isFresh, onDelete }: NoteEditorProps) {
  const [note, change] = useNote(database, id)
  const hasArrived = useStore(arrivals).has(id)
  const fieldId = useId()
  const title = useRef<HTMLInputElement>(null)
  const isShown = note !== undefined
  useEffect(() => {
    if (isFresh && isShown) {
      title.current?.select()
    }
  }, [isFresh, isShown])
  if (note === undefined) {
    return (
      <div className="note-editor">
        <p className="empty">Choose a note, or make a new one</p>
      </div>
    )
  }
  return (
    <div className="note-editor" data-arrived={hasArrived}>
      <label htmlFor={`${fieldId}-title`}>Title</label>
      <input
        ref={title}
        id={`${fieldId}-title`}
        value={note.title}
        maxLength={80}
        autoComplete="off"
        onChange={(event) => change({ title: event.target.value })}
      />
      <label htmlFor={`${fieldId}-text`}>Text</label>
      <textarea
        id={`${fieldId}-text`}
        value={note.text}
        spellCheck={false}
        onChange={(event) => change({ text: event.target.value })}
      />
      <div className="note-foot">
        <RecordWords id={id} hasArrived={hasArrived} />
        <button type="button" className="quiet danger" onClick={() => onDelete(id)}>
          Delete note
        </button>
      </div>
    </div>
  )
}
