package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// PieceBytes is about how much of a file is in memory, and in one row, at a time:
// 1 MiB.
const PieceBytes = 1 << 20

const newFile = `/* tidegate: new file */
INSERT INTO tidegate.files (id, tenant, purpose, filename) VALUES ($1, $2, $3, $4)`

// NewFile begins a file: nobody sees it until it is finished. One that nobody goes
// on writing is removed in time.
func (s *Store) NewFile(ctx context.Context, file jobs.File) error {
	if _, err := s.pool.Exec(ctx, newFile, file.ID, file.Tenant, file.Purpose, file.Name); err != nil {
		return fmt.Errorf("beginning file %s: %w", file.ID, err)
	}
	return nil
}

const appendPiece = `/* tidegate: append piece */
WITH touched AS (UPDATE tidegate.files SET written_at = now() WHERE id = $1 AND NOT whole)
INSERT INTO tidegate.file_pieces (file_id, at, data) VALUES ($1, $2, $3)`

// AppendPiece writes the next piece of a file that is not finished, at its offset.
func (s *Store) AppendPiece(ctx context.Context, id string, at int64, data []byte) error {
	if _, err := s.pool.Exec(ctx, appendPiece, id, at, data); err != nil {
		return fmt.Errorf("writing file %s: %w", id, err)
	}
	return nil
}

const finishFile = `/* tidegate: finish file */
UPDATE tidegate.files SET whole = true, purpose = $2, filename = $3, bytes = $4, expires_at = $5, created_at = now()
WHERE id = $1 AND NOT whole RETURNING created_at`

// FinishFile has everybody see a file, with all that is now known of it, and returns
// it with the time of its creation. ErrNotFound says that it was given up meanwhile.
func (s *Store) FinishFile(ctx context.Context, file jobs.File) (jobs.File, error) {
	err := s.pool.QueryRow(ctx, finishFile, file.ID, file.Purpose, file.Name, file.Bytes, orNullTime(file.ExpiresAt)).Scan(&file.CreatedAt)
	if err != nil {
		return file, fmt.Errorf("finishing file %s: %w", file.ID, noRows(err))
	}
	return file, nil
}

const dropFile = `/* tidegate: drop file */ DELETE FROM tidegate.files WHERE id = $1 AND NOT whole`

// DropFile gives up a file that was not finished.
func (s *Store) DropFile(ctx context.Context, id string) error {
	if _, err := s.pool.Exec(ctx, dropFile, id); err != nil {
		return fmt.Errorf("giving up file %s: %w", id, err)
	}
	return nil
}

const (
	fileFields = `id, tenant, purpose, filename, bytes, created_at, expires_at`
	// One whose time has come is as good as removed, also where nobody has come by
	// to do it.
	fileLives = `whole AND (expires_at IS NULL OR expires_at > now())`
	fileByID  = `/* tidegate: file */ SELECT ` + fileFields + ` FROM tidegate.files WHERE id = $1 AND tenant = $2 AND ` + fileLives
)

// File reads what is known of a tenant's file. It returns ErrNotFound if there is
// none.
func (s *Store) File(ctx context.Context, tenant, id string) (jobs.File, error) {
	return s.oneFile(ctx, id, fileByID, id, tenant)
}

const inputFile = `/* tidegate: input file */ SELECT ` + fileFields + ` FROM tidegate.files WHERE id = $1 AND whole`

// InputFile reads what is known of a file that a batch is made of, also where its
// time has come meanwhile. It returns ErrNotFound if there is none.
func (s *Store) InputFile(ctx context.Context, id string) (jobs.File, error) {
	return s.oneFile(ctx, id, inputFile, id)
}

func (s *Store) oneFile(ctx context.Context, id, query string, args ...any) (jobs.File, error) {
	rows, err := s.pool.Query(ctx, query, args...)
	if err != nil {
		return jobs.File{}, fmt.Errorf("reading file %s: %w", id, err)
	}
	file, err := pgx.CollectExactlyOneRow(rows, scanFile)
	if err != nil {
		return jobs.File{}, fmt.Errorf("reading file %s: %w", id, noRows(err))
	}
	return file, nil
}

// A Page is a part of a list that is in the order of ids, which is that of time.
type Page struct {
	After     string // the last one of the page before; empty: the first page
	Limit     int
	Ascending bool // the oldest first, else the newest
}

// within orders a query by id and cuts it; $2 is After, $3 the limit.
func (p Page) within() string {
	if p.Ascending {
		return ` AND ($2 = '' OR id > $2) ORDER BY id LIMIT $3`
	}
	return ` AND ($2 = '' OR id < $2) ORDER BY id DESC LIMIT $3`
}

const listFiles = `/* tidegate: files */
SELECT ` + fileFields + ` FROM tidegate.files WHERE tenant = $1 AND ($4 = '' OR purpose = $4) AND ` + fileLives

// Files lists a tenant's files of a purpose; empty: of all.
func (s *Store) Files(ctx context.Context, tenant, purpose string, page Page) ([]jobs.File, error) {
	rows, err := s.pool.Query(ctx, listFiles+page.within(), tenant, page.After, page.Limit, purpose)
	if err != nil {
		return nil, fmt.Errorf("listing files: %w", err)
	}
	files, err := pgx.CollectRows(rows, scanFile)
	if err != nil {
		return nil, fmt.Errorf("listing files: %w", err)
	}
	return files, nil
}

func scanFile(row pgx.CollectableRow) (jobs.File, error) {
	var f jobs.File
	var expiresAt *time.Time
	err := row.Scan(&f.ID, &f.Tenant, &f.Purpose, &f.Name, &f.Bytes, &f.CreatedAt, &expiresAt)
	f.ExpiresAt = orZero(expiresAt)
	return f, err
}

const (
	lockFile  = `/* tidegate: lock file */ SELECT true FROM tidegate.files WHERE id = $1 AND tenant = $2 AND whole FOR UPDATE`
	fileInUse = `/* tidegate: file in use */
SELECT EXISTS (SELECT FROM tidegate.batches b JOIN tidegate.batch_work w ON w.batch_id = b.id
	WHERE b.input_file_id = $1 AND (b.state = 'validating' OR b.state IN ('in_progress', 'cancelling') AND w.enqueued < b.total))`
	removeFile = `/* tidegate: remove file */ DELETE FROM tidegate.files WHERE id = $1`
)

// DeleteFile removes a tenant's file. It returns ErrNotFound if there is none, and
// jobs.ErrFileInUse while a batch reads it.
func (s *Store) DeleteFile(ctx context.Context, tenant, id string) error {
	err := Transact(ctx, s.pool, func(tx pgx.Tx) error {
		var there, used bool
		if err := tx.QueryRow(ctx, lockFile, id, tenant).Scan(&there); err != nil {
			return noRows(err)
		}
		if err := tx.QueryRow(ctx, fileInUse, id).Scan(&used); err != nil {
			return err
		}
		if used {
			return jobs.ErrFileInUse
		}
		_, err := tx.Exec(ctx, removeFile, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("deleting file %s: %w", id, err)
	}
	return nil
}

// The piece that an offset lies in, found by the key.
const pieceAt = `/* tidegate: piece */
SELECT at, data FROM tidegate.file_pieces WHERE file_id = $1 AND at <= $2 ORDER BY at DESC LIMIT 1`

// A FileReader reads a file from Postgres, one piece in memory at a time. It holds
// no connection in between.
type FileReader struct {
	ctx   context.Context
	store *Store
	file  jobs.File
	next  int64 // offset of what is read next
	piece []byte
}

// OpenFile reads a whole file from an offset on.
func (s *Store) OpenFile(ctx context.Context, file jobs.File, from int64) *FileReader {
	return &FileReader{ctx: ctx, store: s, file: file, next: from}
}

// Read reads on. An end before the file's own is an error: it was removed
// meanwhile.
func (r *FileReader) Read(p []byte) (int, error) {
	if len(r.piece) == 0 {
		if r.next >= r.file.Bytes {
			return 0, io.EOF
		}
		if err := r.fetch(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.piece)
	r.piece, r.next = r.piece[n:], r.next+int64(n)
	return n, nil
}

// Seek is for who wants a part of the file.
func (r *FileReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.next
	case io.SeekEnd:
		offset += r.file.Bytes
	}
	if offset < 0 {
		return r.next, fmt.Errorf("byte %d of file %s: before its beginning", offset, r.file.ID)
	}
	if offset != r.next {
		r.piece, r.next = nil, offset
	}
	return offset, nil
}

func (r *FileReader) fetch() error {
	var at int64
	err := r.store.pool.QueryRow(r.ctx, pieceAt, r.file.ID, r.next).Scan(&at, &r.piece)
	switch {
	case errors.Is(err, pgx.ErrNoRows) || err == nil && at+int64(len(r.piece)) <= r.next:
		return fmt.Errorf("file %s ends at byte %d of %d: %w", r.file.ID, r.next, r.file.Bytes, ErrNotFound)
	case err != nil:
		return fmt.Errorf("reading file %s: %w", r.file.ID, err)
	}
	r.piece = r.piece[r.next-at:]
	return nil
}
