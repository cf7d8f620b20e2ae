/** A product: what it is, its rows, what its columns hold, questions to it, its versions. */

import { useEffect, useState, type JSX } from 'react';
import type { DataDownloadRequest, Product } from '@nexus-workbench/contract';
import type { PageProps, StudioContext } from '../context.ts';
import {
  Button,
  ErrorNote,
  Field,
  Loading,
  SameAs,
  Table,
  bytes,
  useLoad
} from '../parts/index.ts';
import { css } from '../tokens.ts';
import { Facts, Grid, who } from './grid.tsx';
import { short } from './model.state.ts';
import { ProfileTab } from './product-profile.tsx';
import { QueryTab } from './product-query.tsx';
import { page, PAGE } from './product.state.ts';
import { Tabs } from './tabs.tsx';

export default function ProductPage({ studio, id, options, setTitle }: PageProps): JSX.Element {
  const { trans, client } = studio;
  const loaded = useLoad(
    signal => client.get('/api/v1/data/products/{id}', { path: { id }, signal }),
    [client, id]
  );
  const product = loaded.data;
  const [tab, setTab] = useState(options.tab ?? 'preview');
  useEffect(() => {
    if (product) {
      setTitle(product.name);
    }
  }, [product, setTitle]);
  if (!product) {
    return (
      <div className="nx-Body">
        {loaded.error ? (
          <ErrorNote error={loaded.error} retry={loaded.reload} />
        ) : (
          <Loading what={trans.__('the product')} retry={loaded.reload} />
        )}
      </div>
    );
  }
  return (
    <div className="nx-Body">
      <header className="nx-Top">
        <h1 className={css.title}>{product.name}</h1>
        <p className={css.lead}>{product.description || trans.__('No description.')}</p>
        <Facts
          items={[
            [trans.__('Rows'), product.rows.toLocaleString()],
            [trans.__('Columns'), product.columns.length.toLocaleString()],
            [trans.__('Version'), product.version],
            [trans.__('Size'), bytes(product.bytes)],
            [trans.__('Owner'), who(product.owner)],
            [trans.__('Registered'), new Date(product.made_at).toLocaleString()],
            [trans.__('Made from'), product.source],
            [
              trans.__('Sensitive'),
              product.sensitive.length ? product.sensitive.join(', ') : trans.__('no column')
            ],
            [
              trans.__('Digest'),
              <code key="digest" title={product.digest}>
                {short(product.digest)}
              </code>
            ]
          ]}
        />
        {product.warnings.length > 0 && (
          <ul className={css.note} aria-label={trans.__('Noticed on the way in')}>
            {product.warnings.map(sentence => (
              <li key={sentence}>{sentence}</li>
            ))}
          </ul>
        )}
        <Actions studio={studio} product={product} />
      </header>
      <Tabs
        label={trans.__('About %1', product.name)}
        chosen={tab}
        choose={setTab}
        tabs={[
          {
            id: 'preview',
            label: trans.__('Preview'),
            draw: () => <PreviewTab studio={studio} product={product} />
          },
          {
            id: 'profile',
            label: trans.__('Profile'),
            draw: () => <ProfileTab studio={studio} product={product} />
          },
          {
            id: 'query',
            label: trans.__('Query'),
            draw: () => <QueryTab studio={studio} product={product} />
          },
          {
            id: 'versions',
            label: trans.__('Versions'),
            draw: () => <VersionsTab studio={studio} product={product} />
          }
        ]}
      />
    </div>
  );
}

type Format = NonNullable<DataDownloadRequest['format']>;

function Actions({ studio, product }: { studio: StudioContext; product: Product }): JSX.Element {
  const { trans, client } = studio;
  const [format, setFormat] = useState<Format>('parquet');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const ref = `${product.id}@${product.version}`;
  const download = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      const blob = await client.post('/api/v1/data:download', {
        product: product.id,
        version: product.version,
        format
      });
      save(client.href(blob), blob.name);
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  const name = JSON.stringify(product.name);
  return (
    <>
      <div className={css.row}>
        {studio.role() !== 'viewer' && (
          <Button kind="primary" onClick={() => studio.open('train', ref)}>
            {trans.__('Train a model on it')}
          </Button>
        )}
        <Button disabled={busy} onClick={() => void download()}>
          {busy ? trans.__('Writing …') : trans.__('Download')}
        </Button>
        <select
          className={css.input}
          aria-label={trans.__('Format of the download')}
          value={format}
          onChange={event => setFormat(event.target.value as Format)}
        >
          <option value="parquet">Parquet</option>
          <option value="csv">CSV</option>
          <option value="arrow">Arrow</option>
        </select>
      </div>
      {error !== null && <ErrorNote error={error} />}
      <SameAs
        code={`wb.data.get_product(${name})\nwb.data.preview(${name}, version=${product.version})\nwb.data.download(${name}, version=${product.version}, format="${format}")`}
      />
    </>
  );
}

/** Let the browser save what is at an address of the service's own. */
export function save(href: string, name: string): void {
  const link = document.createElement('a');
  link.href = href;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}

interface TabProps {
  studio: StudioContext;
  product: Product;
}

function PreviewTab({ studio, product }: TabProps): JSX.Element {
  const { trans, client } = studio;
  const [offset, setOffset] = useState(0);
  const { first, last, at } = page(offset, product.rows);
  const loaded = useLoad(
    signal =>
      client.post(
        '/api/v1/data:preview',
        { product: product.id, version: product.version, limit: PAGE, offset: at },
        { signal }
      ),
    [client, product.id, product.version, at]
  );
  return (
    <section className={css.section}>
      <div className={`${css.row} nx-mod-end`}>
        <Button disabled={at === 0} onClick={() => setOffset(at - PAGE)}>
          {trans.__('Earlier rows')}
        </Button>
        <span role="status">
          {trans.__(
            'Rows %1 to %2 of %3',
            first.toLocaleString(),
            last.toLocaleString(),
            product.rows.toLocaleString()
          )}
        </span>
        <Button disabled={last >= product.rows} onClick={() => setOffset(at + PAGE)}>
          {trans.__('Further rows')}
        </Button>
        <Field label={trans.__('From row')}>
          <input
            type="number"
            min={1}
            max={Math.max(1, product.rows)}
            value={first}
            onChange={event => setOffset(Number(event.target.value) - 1)}
          />
        </Field>
      </div>
      {loaded.error && <ErrorNote error={loaded.error} retry={loaded.reload} />}
      {loaded.loading && <Loading what={trans.__('rows')} retry={loaded.reload} />}
      {loaded.data && (
        <Grid
          caption={trans.__('Rows of %1', product.name)}
          columns={loaded.data.columns}
          rows={loaded.data.rows}
          first={first}
        />
      )}
    </section>
  );
}

function VersionsTab({ studio, product }: TabProps): JSX.Element {
  const { trans, client } = studio;
  const loaded = useLoad(
    signal => client.post('/api/v1/data:versions', { product: product.id }, { signal }),
    [client, product.id]
  );
  if (!loaded.data) {
    return loaded.error ? (
      <ErrorNote error={loaded.error} retry={loaded.reload} />
    ) : (
      <Loading what={trans.__('versions')} retry={loaded.reload} />
    );
  }
  return (
    <section className={css.section}>
      <p className={css.quiet}>
        {trans.__('Registering a table under the same name adds a version; old ones stay readable.')}
      </p>
      <Table
        caption={trans.__('Versions of %1', product.name)}
        head={[
          { text: trans.__('Version'), number: true },
          trans.__('Registered'),
          trans.__('By'),
          { text: trans.__('Rows'), number: true },
          { text: trans.__('Columns'), number: true },
          trans.__('Made from'),
          trans.__('Digest'),
          ''
        ]}
        rows={loaded.data.items.map(each => [
          each.version,
          new Date(each.made_at).toLocaleString(),
          who(each.owner),
          each.rows.toLocaleString(),
          each.columns.length,
          each.source,
          <code key="digest" title={each.digest}>
            {short(each.digest)}
          </code>,
          each.version === product.version ? (
            trans.__('shown')
          ) : (
            <Button
              key="open"
              kind="link"
              aria-label={trans.__('Open version %1', each.version)}
              onClick={() => studio.open('product', `${each.id}@${each.version}`)}
            >
              {trans.__('Open')}
            </Button>
          )
        ])}
      />
    </section>
  );
}
