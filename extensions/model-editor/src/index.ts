/** The collaborative editor of a model's graph. */

export { GraphEditor, type EditorClient, type Extra, type GraphEditorProps } from './editor.tsx';
export { GraphDocument, type Graph, type GraphEdge, type GraphGroup, type GraphNode } from './document.ts';
export { Room, roomUrl, type Presence, type RoomState } from './room.ts';
export { Session, type Selection } from './session.ts';
export { useStore } from './views/here.ts';
export { english, type Words } from './words.ts';
export type { Meaning } from './meaning.ts';
export type { Layer, NodeMeaning, Notice, Parameter, Port, Problem } from './wire.ts';
