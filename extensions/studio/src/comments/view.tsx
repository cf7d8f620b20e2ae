/** The threads beside the notebook in front, and where oneself is mentioned. */

import { useEffect, useRef, useState, type JSX, type ReactNode } from 'react';
import { Dialog, showDialog } from '@jupyterlab/apputils';
import { UseSignal } from '@jupyterlab/ui-components';
import type { Comment, Mention, Thread } from '@nexus-workbench/contract';
import { Ago } from '../parts/ago.tsx';
import { Button } from '../parts/form.tsx';
import { Empty, ErrorNote, Loading } from '../parts/state.tsx';
import { useWords } from '../parts/words.ts';
import { person } from '../state.ts';
import { css } from '../tokens.ts';
import { Composer } from './composer.tsx';
import type { Comments } from './model.ts';
import { arrange, baseName, brief, mayChange, mayDelete, pieces, type Group } from './state.ts';

export default function View({ comments }: { comments: Comments }): JSX.Element {
  return <UseSignal signal={comments.changed}>{() => <Shown comments={comments} />}</UseSignal>;
}

function Shown({ comments }: { comments: Comments }): JSX.Element {
  const trans = useWords();
  const { document, threads, resolved, composing } = comments;
  const groups = arrange(threads, comments.cells, resolved);
  const settled = threads.filter(one => one.resolved_at).length;
  return (
    <div className="nx-Panel-body">
      <header className="nx-Panel-head">
        <h2 className="nx-Panel-title">{trans.__('Comments')}</h2>
        <p className={css.quiet} title={document}>
          {document ? baseName(document) : trans.__('No notebook is open.')}
        </p>
      </header>
      <div className="nx-Comments-list">
        <Mentions comments={comments} />
        {comments.error && (
          <ErrorNote error={comments.error} retry={() => void comments.load()} />
        )}
        {document && composing === null && (
          <Button
            className="nx-Comments-new"
            disabled={!comments.cell || !comments.mayComment}
            onClick={() => comments.compose(comments.cell)}
          >
            {trans.__('Comment on this cell')}
          </Button>
        )}
        {document && composing !== null && <NewThread comments={comments} part={composing} />}
        {!document ? (
          <Empty text={trans.__('Open a notebook to read what people say about its cells.')} />
        ) : !comments.loaded && !comments.error ? (
          <Loading retry={() => void comments.load()} />
        ) : (
          groups.map(group => (
            <Part key={`${group.kind} ${group.part}`} comments={comments} group={group} />
          ))
        )}
        {document && comments.loaded && groups.length === 0 && composing === null && (
          <Empty
            text={
              settled > 0
                ? trans.__('Every thread in this notebook is resolved.')
                : trans.__(
                    'No comments in this notebook yet. Choose a cell, then “Comment on this cell”; name somebody with @ to let them know.'
                  )
            }
          />
        )}
        {settled > 0 && (
          <Button kind="link" onClick={() => comments.showResolved(!resolved)}>
            {resolved
              ? trans.__('Hide resolved threads')
              : trans._n('Show %1 resolved thread', 'Show %1 resolved threads', settled)}
          </Button>
        )}
      </div>
    </div>
  );
}

function Mentions({ comments }: { comments: Comments }): JSX.Element | null {
  const trans = useWords();
  const { mentions } = comments;
  if (mentions.length === 0) {
    return null;
  }
  const about = ({ comment, anchor }: Mention): string =>
    trans.__('%1 in %2', person(comment.made_by), baseName(anchor.document));
  return (
    <section className="nx-Mentions" aria-label={trans.__('Mentions of you')}>
      <h3>{trans._n('%1 mention of you', '%1 mentions of you', mentions.length)}</h3>
      <ul className={css.list}>
        {mentions.map(mention => (
          <li key={mention.comment.id}>
            <button
              type="button"
              className={css.item}
              title={mention.anchor.document}
              onClick={() => void comments.open(mention)}
            >
              <span className="nx-Item-title">{brief(mention.comment.text)}</span>
              <span className="nx-Item-about">
                {about(mention)} · <Ago at={mention.comment.made_at} />
              </span>
            </button>
          </li>
        ))}
      </ul>
      <Button
        kind="link"
        onClick={() => void comments.see(mentions.map(one => one.comment.id))}
      >
        {trans.__('Mark all as read')}
      </Button>
    </section>
  );
}

function cellName(comments: Comments, part: string): { number: number; label: string } {
  const at = comments.cells.findIndex(cell => cell.id === part);
  return { number: at + 1, label: comments.cells[at]?.label ?? '' };
}

function NewThread({ comments, part }: { comments: Comments; part: string }): JSX.Element {
  const trans = useWords();
  const { number, label } = cellName(comments, part);
  const title = part ? trans.__('Comment on cell %1', number) : trans.__('Comment on the notebook');
  return (
    <section className="nx-Thread" aria-label={title}>
      <h3 className="nx-Part-name">
        {title} <span className={css.quiet}>{label}</span>
      </h3>
      <Composer
        key={part}
        comments={comments}
        draft={`${comments.document} ${part}`}
        label={title}
        send={trans.__('Comment')}
        onSend={text => comments.add(part, text)}
        onCancel={() => comments.compose(null)}
      />
      {part && (
        <Button kind="link" onClick={() => comments.compose('')}>
          {trans.__('About the whole notebook instead')}
        </Button>
      )}
    </section>
  );
}

function Part({ comments, group }: { comments: Comments; group: Group }): JSX.Element {
  const trans = useWords();
  const name =
    group.kind === 'cell' ? (
      <Button
        kind="link"
        title={trans.__('Go to this cell')}
        onClick={() => void comments.select(group.part)}
      >
        {trans.__('Cell %1', group.number)} <span className={css.quiet}>{group.label}</span>
      </Button>
    ) : group.kind === 'whole' ? (
      trans.__('The whole notebook')
    ) : (
      trans.__('Cell no longer there')
    );
  return (
    <section
      className="nx-Part"
      data-kind={group.kind}
      data-current={group.kind === 'cell' && group.part === comments.cell ? 'true' : undefined}
    >
      <h3 className="nx-Part-name">{name}</h3>
      {group.threads.map(thread => (
        <Talk key={thread.id} comments={comments} thread={thread} gone={group.kind === 'gone'} />
      ))}
    </section>
  );
}

function Talk(props: { comments: Comments; thread: Thread; gone: boolean }): JSX.Element {
  const { comments, thread } = props;
  const trans = useWords();
  const ref = useRef<HTMLElement>(null);
  const [replying, setReplying] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const { shown } = comments;
  const wanted = shown.thread === thread.id ? shown.times : 0;
  useEffect(() => {
    if (wanted > 0) {
      ref.current?.scrollIntoView({ block: 'nearest' });
      ref.current?.focus({ preventScroll: true });
    }
  }, [wanted]);
  const [first] = thread.comments;
  const mayResolve =
    comments.mayComment &&
    (comments.role !== 'viewer' ||
      !!thread.resolved_at ||
      first?.made_by === `person:${comments.actor}`);
  const settle = (): void => {
    setError(null);
    comments.resolve(thread).catch((reason: unknown) => setError(reason));
  };
  return (
    <article
      className="nx-Thread"
      ref={ref}
      tabIndex={-1}
      data-resolved={thread.resolved_at ? 'true' : undefined}
      aria-label={trans.__('Thread begun by %1', person(first?.made_by ?? ''))}
    >
      {props.gone && thread.quote && <blockquote className={css.mono}>{thread.quote}</blockquote>}
      {thread.resolved_at && (
        <p className={css.quiet}>
          {trans.__('Resolved by %1', person(thread.resolved_by ?? ''))}{' '}
          <Ago at={thread.resolved_at} />
        </p>
      )}
      {thread.comments.map(comment => (
        <Said key={comment.id} comments={comments} comment={comment} />
      ))}
      {error !== null && <ErrorNote error={error} />}
      {replying ? (
        <Composer
          comments={comments}
          draft={thread.id}
          label={trans.__('Reply')}
          send={trans.__('Reply')}
          onSend={async text => {
            await comments.reply(thread, text);
            setReplying(false);
            ref.current?.focus({ preventScroll: true });
          }}
          onCancel={() => {
            setReplying(false);
            ref.current?.focus({ preventScroll: true });
          }}
        />
      ) : (
        <div className={css.row}>
          {comments.mayComment && (
            <Button onClick={() => setReplying(true)}>{trans.__('Reply')}</Button>
          )}
          {mayResolve && (
            <Button onClick={settle}>
              {thread.resolved_at ? trans.__('Reopen') : trans.__('Resolve')}
            </Button>
          )}
        </div>
      )}
    </article>
  );
}

function Said({ comments, comment }: { comments: Comments; comment: Comment }): JSX.Element {
  const trans = useWords();
  const [editing, setEditing] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const name = person(comment.made_by);
  if (comment.deleted_at) {
    return <p className={css.quiet}>{trans.__('%1 deleted this comment.', name)}</p>;
  }
  const remove = async (): Promise<void> => {
    const answer = await showDialog({
      title: trans.__('Delete this comment?'),
      body: brief(comment.text, 200),
      buttons: [
        Dialog.cancelButton({ label: trans.__('Cancel') }),
        Dialog.warnButton({ label: trans.__('Delete') })
      ]
    });
    if (answer.button.accept) {
      setError(null);
      await comments.remove(comment.id).catch((reason: unknown) => setError(reason));
    }
  };
  return (
    <div className="nx-Said" data-comment={comment.id}>
      <p className="nx-Said-by">
        <b>{name}</b>{' '}
        <span className={css.quiet}>
          <Ago at={comment.made_at} />
          {comment.edited_at && ` · ${trans.__('edited')}`}
        </span>
      </p>
      {editing ? (
        <Composer
          comments={comments}
          draft={comment.id}
          label={trans.__('Change your comment')}
          send={trans.__('Save')}
          initial={comment.text}
          onSend={async text => {
            await comments.change(comment.id, text);
            setEditing(false);
          }}
          onCancel={() => setEditing(false)}
        />
      ) : (
        <Text comment={comment} me={comments.actor} />
      )}
      {error !== null && <ErrorNote error={error} />}
      {!editing && comments.mayComment && (
        <Acts>
          {mayChange(comment, comments.actor) && (
            <Button kind="link" onClick={() => setEditing(true)}>
              {trans.__('Edit')}
            </Button>
          )}
          {mayDelete(comment, comments.actor, comments.role) && (
            <Button kind="link" onClick={() => void remove()}>
              {trans.__('Delete')}
            </Button>
          )}
        </Acts>
      )}
    </div>
  );
}

function Acts({ children }: { children: ReactNode }): JSX.Element {
  return <div className="nx-Said-acts">{children}</div>;
}

/** What somebody wrote, as text. */
function Text({ comment, me }: { comment: Comment; me: string }): JSX.Element {
  return (
    <p className="nx-Said-text" dir="auto">
      {pieces(comment.text, comment.mentions).map((piece, at) =>
        piece.person === null ? (
          piece.text
        ) : (
          <mark key={at} className="nx-Mention" data-me={piece.person === me ? 'true' : undefined}>
            {piece.text}
          </mark>
        )
      )}
    </p>
  );
}
