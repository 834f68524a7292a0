import type { NoteFile, Workspace } from './database'

export function newWorkspace(): Workspace {
  return { id: crypto.randomUUID(), name: 'New workspace', createdAt: new Date() }
}

export function newFile(
  workspaceId: string,
  name = 'New file',
  content = '',
  createdAt = new Date(),
): NoteFile {
  return { id: crypto.randomUUID(), workspaceId, name, content, createdAt, updatedAt: createdAt }
}

/** Many files at once, as an import would make them; the first is the newest. */
export function newFiles(workspaceId: string, count: number): NoteFile[] {
  const now = Date.now()
  return Array.from({ length: count }, (_, index) => {
    const content = `The text of note ${index + 1}.\n`
    return newFile(workspaceId, `Imported note ${index + 1}`, content, new Date(now - index))
  })
}
