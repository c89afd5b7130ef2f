<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_admin\Form;

use Drupal\commerce_waybill\Outbox\Outbox;
use Drupal\Core\Form\ConfirmFormBase;
use Drupal\Core\Form\FormStateInterface;
use Drupal\Core\StringTranslation\TranslatableMarkup;
use Drupal\Core\Url;
use Symfony\Component\DependencyInjection\ContainerInterface;

/**
 * Asks before deliveries that were given up are tried again.
 */
class RetryForm extends ConfirmFormBase {

  /**
   * The outbox.
   */
  protected Outbox $outbox;

  /**
   * The row, or 0 for every one that was given up.
   */
  protected int $id = 0;

  /**
   * {@inheritdoc}
   */
  public static function create(ContainerInterface $container): static {
    $form = parent::create($container);
    $form->outbox = $container->get(Outbox::class);
    return $form;
  }

  /**
   * {@inheritdoc}
   */
  public function getFormId(): string {
    return 'commerce_waybill_admin_retry';
  }

  /**
   * {@inheritdoc}
   */
  public function buildForm(array $form, FormStateInterface $form_state, int $id = 0): array {
    $this->id = $id;
    return parent::buildForm($form, $form_state);
  }

  /**
   * {@inheritdoc}
   */
  public function getQuestion(): TranslatableMarkup {
    return $this->id ? $this->t('Deliver row @id again?', ['@id' => $this->id]) : $this->t('Deliver everything again that was given up?');
  }

  /**
   * {@inheritdoc}
   */
  public function getDescription(): TranslatableMarkup {
    return $this->t('Each event is sent with the order as it is now. The middleware keeps an event once, however often it is sent.');
  }

  /**
   * {@inheritdoc}
   */
  public function getCancelUrl(): Url {
    return Url::fromRoute('commerce_waybill_admin.outbox');
  }

  /**
   * {@inheritdoc}
   */
  public function submitForm(array &$form, FormStateInterface $form_state): void {
    $count = $this->outbox->retry($this->id ? [$this->id] : []);
    $this->messenger()->addStatus($this->formatPlural($count, 'One delivery will be tried again.', '@count deliveries will be tried again.'));
    $this->logger('commerce_waybill')->notice('@user had @count deliveries tried again (row @id).', [
      '@user' => $this->currentUser()->getAccountName(),
      '@count' => $count,
      '@id' => $this->id ?: 'all',
    ]);
    $form_state->setRedirectUrl($this->getCancelUrl());
  }

}
