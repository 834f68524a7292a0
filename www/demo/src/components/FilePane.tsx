import type { Ref } from 'react'
import type { NoteFile } from '../database'
import { counted } from '../words'

interface FilePaneProps {
  /** A workspace is open. */
  readonly enabled: boolean
  readonly files: readonly NoteFile[]
  readonly total: number
  readonly selected: string | undefined
  /** How many "add many" adds. */
  readonly bulk: number
  readonly addButton: Ref<HTMLButtonElement>
  readonly onOpen: (id: string) => void
  readonly onAdd: () => void
  readonly onAddMany: () => void
  readonly onMore: () => void
}

export function FilePane(props: FilePaneProps) {
  const { enabled, files, total, selected, bulk, addButton, onOpen, onAdd, onAddMany, onMore } =
    props
  return (
    <div className="pane files">
      <div className="pane-head">
        <h2>Files</h2>
        <button ref={addButton} type="button" className="small" disabled={!enabled} onClick={onAdd}>
          New file
        </button>
      </div>
      <ul className="list">
        {files.map(({ id, name, content }) => (
          <li key={id}>
            <button
              type="button"
              className="row"
              aria-current={id === selected ? 'true' : undefined}
              onClick={() => onOpen(id)}
            >
              {name || 'Untitled'}
              <small>{content.slice(0, 60) || 'Empty'}</small>
            </button>
          </li>
        ))}
        {files.length === 0 && <li className="empty">No files yet</li>}
        {files.length < total && (
          <li>
            <button type="button" className="row more" onClick={onMore}>
              Show more
            </button>
          </li>
        )}
      </ul>
      <div className="pane-foot">
        <p className="count">
          {files.length < total
            ? `${files.length.toLocaleString('en')} of ${counted(total, 'file')}`
            : counted(total, 'file')}
        </p>
        <button type="button" className="quiet" disabled={!enabled} onClick={onAddMany}>
          Add {bulk.toLocaleString('en')} files
        </button>
      </div>
    </div>
  )
}
