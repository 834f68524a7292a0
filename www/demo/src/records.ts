import type { NoteFile, Workspace } from './database'

export function newWorkspace(): Workspace {
  return { id: crypto.randomUUID(), name: 'New workspace', createdAt: new Date() }
}

export function newFile(workspaceId: string, name = 'New file', content = ''): NoteFile {
  const createdAt = new Date()
  return { id: crypto.randomUUID(), workspaceId, name, content, createdAt, updatedAt: createdAt }
}

/** Many files at once, as an import would make them. */
export function newFiles(workspaceId: string, count: number): NoteFile[] {
  return Array.from({ length: count }, (_, index) =>
    newFile(workspaceId, `Imported note ${index + 1}`, `Line 1 of note ${index + 1}\n`),
  )
}
