import { useRef } from 'react'
import type { Workspace } from '../database'
import { counted } from '../words'
import { NameField } from './NameField'

interface WorkspacePaneProps {
  readonly workspaces: readonly Workspace[]
  readonly selected: Workspace | undefined
  readonly fresh: string | undefined
  readonly fileCount: number
  readonly onOpen: (id: string) => void
  readonly onAdd: () => void
  readonly onSave: (workspace: Workspace) => void
  readonly onDelete: (id: string) => void
}

export function WorkspacePane(props: WorkspacePaneProps) {
  const { workspaces, selected, fresh, fileCount, onOpen, onAdd, onSave, onDelete } = props
  const addButton = useRef<HTMLButtonElement>(null)
  const remove = ({ id, name }: Workspace) => {
    if (confirm(`Delete “${name || 'Untitled'}” and its ${counted(fileCount, 'file')}?`)) {
      onDelete(id)
      addButton.current?.focus()
    }
  }
  return (
    <div className="pane workspaces">
      <div className="pane-head">
        <h2>Workspaces</h2>
        <button ref={addButton} type="button" className="small" onClick={onAdd}>
          New <span className="visually-hidden">workspace</span>
        </button>
      </div>
      <ul className="list">
        {workspaces.map(({ id, name }) => (
          <li key={id}>
            <button
              type="button"
              className="row"
              aria-current={id === selected?.id ? 'true' : undefined}
              onClick={() => onOpen(id)}
            >
              {name || 'Untitled'}
            </button>
          </li>
        ))}
        {workspaces.length === 0 && <li className="empty">No workspaces yet</li>}
      </ul>
      {selected !== undefined && (
        <div className="pane-foot">
          <NameField
            key={selected.id}
            label="Workspace name"
            name={selected.name}
            isFresh={selected.id === fresh}
            onChange={(name) => onSave({ ...selected, name })}
          />
          <button type="button" className="quiet danger" onClick={() => remove(selected)}>
            Delete workspace
          </button>
        </div>
      )}
    </div>
  )
}
