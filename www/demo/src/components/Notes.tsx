import { useCallback, useRef, useState } from 'react'
import {
  countFiles,
  deleteFile,
  deleteWorkspace,
  getFile,
  listFiles,
  listWorkspaces,
  saveFiles,
  saveWorkspace,
} from '../database'
import { useLive } from '../live'
import { reportProblem } from '../problem'
import { newFile, newFiles, newWorkspace } from '../records'
import { type Selection, useSelection } from '../selection'
import { FileEditor } from './FileEditor'
import { FilePane } from './FilePane'
import { WorkspacePane } from './WorkspacePane'

const PAGE = 100
const BULK = 1_000

/** The app: workspaces, the files of one, and one file. */
export function Notes({ database }: { database: IDBDatabase }) {
  const [selection, select] = useSelection(database)
  const [limit, setLimit] = useState(PAGE)
  const { workspaces, workspace, files, total, file } = useNotes(database, selection, limit)
  const workspaceId = workspace?.id ?? ''
  const newFileButton = useRef<HTMLButtonElement>(null)

  const addWorkspace = async () => {
    const added = newWorkspace()
    await saveWorkspace(database, added)
    select({ workspaceId: added.id, fileId: '', fresh: added.id })
    setLimit(PAGE)
  }
  const addFile = async () => {
    const added = newFile(workspaceId)
    await saveFiles(database, [added])
    select({ workspaceId, fileId: added.id, fresh: added.id })
  }
  const removeFile = async (id: string) => {
    newFileButton.current?.focus()
    await deleteFile(database, id)
  }
  const openWorkspace = (id: string) => {
    select({ workspaceId: id, fileId: '' })
    setLimit(PAGE)
  }
  return (
    <section className="card notes" aria-label="Notes">
      <WorkspacePane
        workspaces={workspaces}
        selected={workspace}
        fresh={selection.fresh}
        fileCount={total}
        onOpen={openWorkspace}
        onAdd={() => addWorkspace().catch(reportProblem)}
        onSave={(changed) => saveWorkspace(database, changed).catch(reportProblem)}
        onDelete={(id) => deleteWorkspace(database, id).catch(reportProblem)}
      />
      <FilePane
        enabled={workspace !== undefined}
        files={files}
        total={total}
        selected={file?.id}
        bulk={BULK}
        addButton={newFileButton}
        onOpen={(fileId) => select({ workspaceId, fileId, chosen: true })}
        onAdd={() => addFile().catch(reportProblem)}
        onAddMany={() => saveFiles(database, newFiles(workspaceId, BULK)).catch(reportProblem)}
        onMore={() => setLimit(limit + PAGE)}
      />
      <FileEditor
        key={file?.id}
        file={file}
        isFresh={file !== undefined && file.id === selection.fresh}
        isChosen={selection.chosen === true}
        onSave={(changed) => saveFiles(database, [changed]).catch(reportProblem)}
        onDelete={(id) => removeFile(id).catch(reportProblem)}
      />
    </section>
  )
}

/** What the database holds of the selection, always as it is now. */
function useNotes(database: IDBDatabase, { workspaceId, fileId }: Selection, limit: number) {
  const workspaces = useLive(useCallback(() => listWorkspaces(database), [database])) ?? []
  // The open one may have been deleted, here or in another tab.
  const workspace = workspaces.find(({ id }) => id === workspaceId) ?? workspaces[0]
  const id = workspace?.id ?? ''
  const readFiles = useCallback(() => listFiles(database, id, limit), [database, id, limit])
  const readTotal = useCallback(() => countFiles(database, id), [database, id])
  const readFile = useCallback(() => getFile(database, fileId), [database, fileId])
  return {
    workspaces,
    workspace,
    files: useLive(readFiles) ?? [],
    total: useLive(readTotal) ?? 0,
    file: useLive(readFile),
  }
}
