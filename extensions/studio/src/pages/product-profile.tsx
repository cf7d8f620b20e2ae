/** What the columns of a product hold, and what to look at before training on it. */

import { useState, type JSX } from 'react';
import type { ColumnProfile, Product, Profile } from '@nexus-workbench/contract';
import type { StudioContext } from '../context.ts';
import { Badge, Bars, Button, ErrorNote, Field, Loading, SameAs, useLoad } from '../parts/index.ts';
import { css } from '../tokens.ts';
import { leak, marks, share, spread, type Mark } from './product.state.ts';

/** Columns drawn at once; a table may have thousands. */
const MOST = 60;

export function ProfileTab({
  studio,
  product
}: {
  studio: StudioContext;
  product: Product;
}): JSX.Element {
  const { trans, client } = studio;
  const [target, setTarget] = useState('');
  const [filter, setFilter] = useState('');
  const [most, setMost] = useState(MOST);
  const ref = `${product.id}@${product.version}`;
  const loaded = useLoad(
    signal =>
      client.post('/api/v1/data:profile', { product: ref, target: target || null }, { signal }),
    [client, ref, target]
  );
  const profile = loaded.data;
  const wanted = filter.trim().toLowerCase();
  const fit = profile?.columns.filter(each => each.name.toLowerCase().includes(wanted)) ?? [];
  return (
    <section className={css.section}>
      <div className={css.row}>
        <Field
          label={trans.__('Target')}
          hint={trans.__('Columns are checked for telling it too well.')}
        >
          <select value={target} onChange={event => setTarget(event.target.value)}>
            <option value="">{trans.__('none')}</option>
            {product.columns.map(column => (
              <option key={column.name} value={column.name}>
                {column.name}
              </option>
            ))}
          </select>
        </Field>
        {product.columns.length > 8 && (
          <Field label={trans.__('Find a column')}>
            <input type="search" value={filter} onChange={event => setFilter(event.target.value)} />
          </Field>
        )}
      </div>
      {loaded.error && <ErrorNote error={loaded.error} retry={loaded.reload} />}
      {loaded.loading && <Loading what={trans.__('the profile')} retry={loaded.reload} />}
      {profile && (
        <>
          <p>
            {trans.__('%1 rows.', profile.rows.toLocaleString())}{' '}
            {profile.duplicates === null
              ? trans.__('Equal rows were not counted: the table is too large.')
              : profile.duplicates === 0
                ? trans.__('No two rows are equal.')
                : trans.__('%1 rows are equal to another.', profile.duplicates.toLocaleString())}{' '}
            {profile.target && trans.__('Target: %1.', profile.target)}
          </p>
          {profile.leakage.length > 0 && (
            <ul className={css.note} aria-label={trans.__('Columns that may tell the target')}>
              {profile.leakage.map(sentence => (
                <li key={sentence}>{sentence}</li>
              ))}
            </ul>
          )}
          {fit.length === 0 && <p>{trans.__('No column is called like that.')}</p>}
          <div className="nx-Profile">
            {fit.slice(0, most).map(column => (
              <Column key={column.name} studio={studio} column={column} profile={profile} />
            ))}
          </div>
          {fit.length > most && (
            <Button onClick={() => setMost(most + MOST)}>
              {trans.__('Show more of the %1 columns', fit.length.toLocaleString())}
            </Button>
          )}
        </>
      )}
      <SameAs
        code={`wb.data.profile(${JSON.stringify(product.name)}${target ? `, target=${JSON.stringify(target)}` : ''})`}
      />
    </section>
  );
}

function Column({
  studio,
  column,
  profile
}: {
  studio: StudioContext;
  column: ColumnProfile;
  profile: Profile;
}): JSX.Element {
  const { trans } = studio;
  const words: Record<Mark, string> = {
    key: trans.__('key: every value is different'),
    sensitive: trans.__('sensitive'),
    'looks-sensitive': trans.__('looks sensitive: %1', column.looks_sensitive),
    leakage: trans.__('tells the target'),
    constant: trans.__('one value only'),
    missing: trans.__('mostly missing')
  };
  const told = leak(column.name, profile);
  return (
    <article className={css.card} aria-label={column.name}>
      <header className={css.row}>
        <h3>{column.name}</h3>
        <span className={css.quiet} title={column.type}>
          {column.kind}
        </span>
        {marks(column, profile).map(mark => (
          <Badge key={mark} state={mark} text={words[mark]} />
        ))}
      </header>
      <p className={css.quiet}>
        {trans.__('%1 missing', share(column.missing_share))} ·{' '}
        {trans.__('%1 different', column.distinct.toLocaleString())}
        {spread(column) && (
          <span title={trans.__('least, median, most')}>{` · ${spread(column)}`}</span>
        )}
        {column.mean !== null &&
          ` · ${trans.__('mean %1', String(Number(column.mean.toPrecision(4))))}`}
      </p>
      {column.bins.length > 0 && (
        <Bars bins={column.bins} other={column.other} label={column.name} height={64} />
      )}
      {[told, ...column.notes]
        .filter((note, index, all) => note && all.indexOf(note) === index)
        .map(note => (
          <p key={note} className={css.quiet}>
            {note}
          </p>
        ))}
    </article>
  );
}
