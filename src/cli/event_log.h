/* event_log.h: TensorBoard's event files, which show a training's curves while it runs. */
#ifndef CONVNET_CLI_EVENT_LOG_H
#define CONVNET_CLI_EVENT_LOG_H

#include "convnet/trainer.h"

struct event_log;

/* Creates `folder` if it does not exist, and a new file in it. Caller closes with event_log_close.
 */
enum cn_status event_log_open(const char *folder, struct event_log **ret_log,
                              struct cn_error *error);

/* An epoch's numbers under Keras's names: epoch_loss, epoch_accuracy, epoch_learning_rate, and the
 * validation's as epoch_val_loss and epoch_val_accuracy, with those of --epoch-metrics. Flushed:
 * TensorBoard sees it at once. */
enum cn_status event_log_epoch(struct event_log *log, const struct cn_epoch_record *record,
                               struct cn_error *error);
void event_log_close(struct event_log *log); /* accepts NULL */

#endif
