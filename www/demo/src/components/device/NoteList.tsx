import type { Ref } from 'react'
import { arrivals } from '../../arrivals'
import type { Note } from '../../database'
import { useStore } from '../../store'
import { counted } from '../../words'
import { RecordDot } from './RecordDot'

interface NoteListProps {
  readonly notes: readonly Note[]
  readonly total: number
  readonly selected: string
  readonly newButton: Ref<HTMLButtonElement>
  readonly onOpen: (id: string) => void
  readonly onNew: () => void
  readonly onMore: () => void
}

export function NoteList(props: NoteListProps) {
  const { notes, total, selected, newButton, onOpen, onNew, onMore } = props
  const arrived = useStore(arrivals)
  return (
    <div className="note-list">
      <button ref={newButton} type="button" className="small" onClick={onNew}>
        New note
      </button>
      <ul>
        {notes.map(({ id, title }) => (
          <li key={id}>
            <button
              type="button"
              className="row"
              aria-current={id === selected ? 'true' : undefined}
              data-arrived={arrived.has(id)}
              onClick={() => onOpen(id)}
            >
              <RecordDot id={id} />
              <span>{title || 'Untitled'}</span>
            </button>
          </li>
        ))}
        {notes.length === 0 && <li className="empty">No notes yet</li>}
        {notes.length < total && (
          <li>
            <button type="button" className="row more" onClick={onMore}>
              Show more
            </button>
          </li>
        )}
      </ul>
      <p className="count">
        {notes.length < total
          ? `${notes.length.toLocaleString('en')} of ${counted(total, 'note')}`
          : counted(total, 'note')}
      </p>
    </div>
  )
}
