import { useEffect, useId, useRef, useState } from 'react'
import type { NoteFile } from '../database'
import { NameField } from './NameField'

interface FileEditorProps {
  readonly file: NoteFile | undefined
  readonly isFresh: boolean
  /** Scrolls into sight, on screens where it is below the list. */
  readonly isChosen: boolean
  readonly onSave: (file: NoteFile) => void
  readonly onDelete: (id: string) => void
}

/** One file. Each keystroke is saved: a `put` of the whole file. */
export function FileEditor({ file, isFresh, isChosen, onSave, onDelete }: FileEditorProps) {
  const id = useId()
  const region = useRef<HTMLElement>(null)
  useEffect(() => {
    if (isChosen) {
      region.current?.scrollIntoView({ block: 'nearest' })
    }
  }, [isChosen])
  // The latest that was written here, shown until the database has it or something newer.
  const [draft, setDraft] = useState<NoteFile>()
  if (file === undefined) {
    return (
      <section className="pane editor" aria-label="File">
        <p className="empty">Choose a file, or make a new one</p>
      </section>
    )
  }
  const shown = draft !== undefined && draft.updatedAt >= file.updatedAt ? draft : file
  const save = (change: Partial<NoteFile>) => {
    const next = { ...shown, ...change, updatedAt: new Date() }
    setDraft(next)
    onSave(next)
  }
  return (
    <section ref={region} className="pane editor" aria-label="File">
      <NameField
        label="File name"
        name={shown.name}
        isFresh={isFresh}
        onChange={(name) => save({ name })}
      />
      <div className="field grow">
        <label htmlFor={id}>Text</label>
        <textarea
          id={id}
          value={shown.content}
          spellCheck={false}
          onChange={(event) => save({ content: event.target.value })}
        />
      </div>
      <div className="pane-foot">
        <p className="count">Saved in this browser at {shown.updatedAt.toLocaleTimeString('en')}</p>
        <button type="button" className="quiet danger" onClick={() => onDelete(file.id)}>
          Delete file
        </button>
      </div>
    </section>
  )
}
