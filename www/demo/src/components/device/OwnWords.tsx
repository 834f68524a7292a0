import { type FormEvent, useEffect, useId, useRef, useState } from 'react'
import type { Note } from '../../database'
import type { NoteField } from './Issues'

interface OwnWordsProps {
  readonly start: Note
  readonly fields: readonly NoteField[]
  readonly labels: Readonly<Record<NoteField, string>>
  readonly onSave: (note: Note) => void
  readonly onCancel: () => void
}

/** A third version of a note, in place of the two that differ. */
export function OwnWords({ start, fields, labels, onSave, onCancel }: OwnWordsProps) {
  const [written, setWritten] = useState(start)
  const form = useRef<HTMLFormElement>(null)
  const id = useId()
  useEffect(() => form.current?.querySelector('textarea')?.select(), [])
  const save = (event: FormEvent) => {
    event.preventDefault()
    onSave(written)
  }
  return (
    <form ref={form} className="own-words" onSubmit={save}>
      {fields.map((field) => (
        <div key={field}>
          <label htmlFor={`${id}-${field}`}>{labels[field]} that counts</label>
          <textarea
            id={`${id}-${field}`}
            rows={field === 'title' ? 1 : 4}
            value={written[field]}
            onChange={(event) => setWritten({ ...written, [field]: event.target.value })}
          />
        </div>
      ))}
      <div className="buttons">
        <button type="submit" className="primary">
          Save this
        </button>
        <button type="button" onClick={onCancel}>
          Cancel
        </button>
      </div>
    </form>
  )
}
