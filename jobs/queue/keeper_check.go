package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"tidegate/jobs"
	"tidegate/store"
)

func missing(err error) bool { return errors.Is(err, store.ErrNotFound) }

func isEnd(err error) bool { return errors.Is(err, io.EOF) }

// check reads all lines of a batch. They are enqueued if all are right, and else
// none is.
func (k *Keeper) check(ctx context.Context, batch *jobs.Batch) error {
	opts, err := k.options(ctx, batch)
	if err != nil {
		return err
	}
	lines, err := k.input(ctx, batch, 0)
	if missing(err) {
		return k.Store.FailBatch(ctx, batch.ID, []jobs.BatchFault{{Code: "file_not_found", Message: "the input file was deleted before it was read", Param: "input_file_id"}})
	}
	if err != nil {
		return err
	}
	opts.Place = new(jobs.Place) // faults name their line
	found := findings{most: cmp.Or(k.MaxLines, DefaultMaxLines), endpoint: opts.Endpoint}
	for request, err := range jobs.ReadLines(lines, opts) {
		if lines.err != nil || ctx.Err() != nil {
			return cmp.Or(lines.err, ctx.Err())
		}
		if err == nil {
			err = k.complete(ctx, batch, &request)
			if err != nil && !isFault(err) {
				return err
			}
		}
		if !found.add(&request, err, opts.Place) {
			break
		}
	}
	if lines.err != nil {
		return lines.err
	}
	if faults := found.all(); len(faults) > 0 {
		return k.Store.FailBatch(ctx, batch.ID, faults)
	}
	return k.Store.BeginBatch(ctx, batch.ID, found.requests, found.model)
}

// isFault tells what is wrong with a request from a database that is away.
func isFault(err error) bool {
	var look *lookError
	return !errors.As(err, &look)
}

// findings are what was found in the lines of a file.
type findings struct {
	most     int
	endpoint jobs.Endpoint
	requests int
	inputs   int // that want a vector
	model    string
	mixed    bool
	faults   []jobs.BatchFault
}

// add takes one line; false: there is no sense in reading on.
func (f *findings) add(request *jobs.Request, err error, place *jobs.Place) bool {
	if err != nil {
		f.faults = append(f.faults, faultOf(err, place))
		return len(f.faults) < jobs.MaxBatchFaults
	}
	if f.requests++; f.requests > f.most {
		f.faults = append(f.faults, jobs.BatchFault{
			Code: "too_many_tasks", Line: place.Lines,
			Message: fmt.Sprintf("the file has more than %d requests: split it into several batches", f.most),
		})
		return false
	}
	if f.endpoint == jobs.EndpointEmbeddings {
		f.inputs += jobs.Inputs(request.Body)
	}
	if most := max(f.most, MaxInputs); f.inputs > most {
		f.faults = append(f.faults, jobs.BatchFault{
			Code: "too_many_tasks", Line: place.Lines, Param: "body.input",
			Message: fmt.Sprintf("the requests of the file have more than %d inputs in all: split it into several batches", most),
		})
		return false
	}
	switch model := jobs.BodyModel(request.Body); {
	case f.requests == 1:
		f.model = model
	case model != f.model:
		f.mixed = true
	}
	if f.mixed {
		f.model = ""
	}
	return true
}

func (f *findings) all() []jobs.BatchFault {
	if f.requests == 0 && len(f.faults) == 0 {
		return []jobs.BatchFault{{Code: "empty_file", Message: "the input file has no line: it must have one request on each", Param: "input_file_id"}}
	}
	return f.faults
}

func faultOf(err error, place *jobs.Place) jobs.BatchFault {
	var line *jobs.LineError
	if errors.As(err, &line) {
		return jobs.BatchFault{Code: line.Code, Message: line.Err.Error(), Param: line.Field, Line: line.Line}
	}
	return jobs.BatchFault{Code: jobs.CodeBadLine, Message: err.Error(), Line: place.Lines}
}
