/** Ids of places that the focus moves to. */
export const STATUS_ID = 'status'
export const ISSUES_ID = 'issues'
