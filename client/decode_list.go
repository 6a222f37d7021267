package client

import (
	"encoding/json"
	"fmt"
)

// pagination is where a page is in its list. Without one, the page is the only one.
type pagination struct {
	HasNextPage bool
	Cursor      string
}

// decodePage reads {"data": {NAME: [ITEM, ...]}, "pagination": {...}}, ignoring fields that it does
// not know. The function item makes an item of one that has been read, whose place in the JSON is
// name.
func decodePage[W, T any](body []byte, key string, item func(read *W, name string) (*T, error)) (*Page[T], error) {
	var answer struct {
		Data       map[string]json.RawMessage
		Pagination pagination
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("not a list of %s: %w", key, err)
	}
	page := &Page[T]{HasNext: answer.Pagination.HasNextPage}
	var read []W
	if json.Unmarshal(answer.Data[key], &read) != nil || read == nil ||
		json.Unmarshal(answer.Data[key], &page.Raw) != nil {
		return nil, fmt.Errorf("not a list of %s: there is no such list in data.%s", key, key)
	}
	page.Items = make([]T, len(read))
	if page.HasNext {
		page.Cursor = answer.Pagination.Cursor
	}
	for i := range read {
		made, err := item(&read[i], fmt.Sprintf("data.%s[%d]", key, i))
		if err != nil {
			return nil, err
		}
		page.Items[i] = *made
	}
	return page, nil
}

func decodeProjects(body []byte) (*Page[Project], error) {
	return decodePage(body, "projects", func(read *Project, name string) (*Project, error) {
		if read.ID == "" {
			return nil, fmt.Errorf("not a project: there is no %s.id", name)
		}
		return read, nil
	})
}

// wireJob is a job as it comes.
type wireJob struct {
	Job
	LatestRun *wireRun `json:"latestRun"` // instead of the one in Job
}

func decodeJobs(body []byte) (*Page[Job], error) {
	return decodePage(body, "jobs", func(read *wireJob, name string) (*Job, error) {
		if read.ID == "" {
			return nil, fmt.Errorf("not a job: there is no %s.id", name)
		}
		if read.LatestRun == nil {
			return &read.Job, nil
		}
		var err error
		read.Job.LatestRun, err = read.LatestRun.run(name + ".latestRun")
		return &read.Job, err
	})
}

func decodeRuns(body []byte) (*Page[JobRun], error) {
	return decodePage(body, "runs", (*wireRun).run)
}
